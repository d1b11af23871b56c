/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Statistics: our own counters per queue, and the device's counters of this VIF as xstats "dev_*".
 * Data threads own the counters, so a reset only remembers where they stood. Those of the device
 * are asked for on the control channel; while it is away the last known values stand in.
 */
#include <errno.h>
#include <string.h>

#include "nfe_ethdev.h"
#include "nfe_mp.h"

#define TX_NAME(name) "tx_" #name,
#define RX_NAME(name) "rx_" #name,
#define DEV_NAME(name, help) "dev_" #name,
static const char *const tx_names[] = { NFE_TX_COUNTERS(TX_NAME) };
static const char *const rx_names[] = { NFE_RX_COUNTERS(RX_NAME) };
static const char *const dev_names[] = { NFE_STATS(DEV_NAME) };

/* All counters are uint64_t, so the structures are arrays as well. */
#define NB_TX (sizeof(struct nfe_tx_counters) / sizeof(uint64_t))
#define NB_RX (sizeof(struct nfe_rx_counters) / sizeof(uint64_t))
#define NFE_OWN_BASIC 2u /* packets and bytes are in rte_eth_stats already */
#define NB_XSTATS (NB_TX - NFE_OWN_BASIC + NB_RX - NFE_OWN_BASIC + NFE_STAT_MAX + 1)
static_assert(RTE_DIM(tx_names) == NB_TX, "one name per counter");
static_assert(RTE_DIM(rx_names) == NB_RX, "one name per counter");

static void
add_since_base(uint64_t *sum, const void *count, const void *base, unsigned int n)
{
	const volatile uint64_t *c = count; /* data threads write them */
	const uint64_t *b = base;

	for (unsigned int i = 0; i < n; i++)
		sum[i] += c[i] - b[i];
}

static void
tx_sum(const struct rte_eth_dev *dev, struct nfe_tx_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		const struct nfe_txq *q = dev->data->tx_queues[i];

		if (q != NULL)
			add_since_base((uint64_t *)sum, &q->count, &q->base, NB_TX);
	}
}

static void
rx_sum(const struct rte_eth_dev *dev, struct nfe_rx_counters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		const struct nfe_rxq *q = dev->data->rx_queues[i];

		if (q != NULL)
			add_since_base((uint64_t *)sum, &q->count, &q->base, NB_RX);
	}
}

void
nfe_stats_refresh(struct nfe_port *port)
{
	uint64_t stats[NFE_STAT_MAX];
	struct nfeh_counters host;

	port->replays = nfeh_generation(port->h);
	if (nfe_port_frozen(port))
		return; /* away: don't make the caller wait for the deadline */
	nfeh_counters(port->h, &host);
	if (nfeh_stats(port->h, stats) < 0)
		return;
	pthread_mutex_lock(&port->lock); /* a secondary may ask at the same time */
	memcpy(port->dev_stats, stats, sizeof(stats));
	/* A new device counts from 0; one that only failed the function goes on counting. */
	if (host.hangups != port->dev_hangups) {
		memset(port->dev_base, 0, sizeof(port->dev_base));
		port->dev_hangups = host.hangups;
	}
	pthread_mutex_unlock(&port->lock);
}

/* While the device is away, or the primary does not answer, the last known values stand in. */
static void
dev_read(struct rte_eth_dev *dev)
{
	if (rte_eal_process_type() == RTE_PROC_PRIMARY)
		nfe_stats_refresh(nfe_port(dev));
	else
		nfe_secondary_refresh(dev);
}

static uint64_t
dev_count(const struct nfe_port *port, enum nfe_stat stat)
{
	uint64_t value = port->dev_stats[stat], base = port->dev_base[stat];

	return value >= base ? value - base : 0;
}

static void
queue_stats(const struct rte_eth_dev *dev, struct nfe_queue_stats *stats)
{
	for (uint16_t i = 0; i < RTE_ETHDEV_QUEUE_STAT_CNTRS; i++) {
		const struct nfe_rxq *rxq = i < dev->data->nb_rx_queues ?
			dev->data->rx_queues[i] : NULL;
		const struct nfe_txq *txq = i < dev->data->nb_tx_queues ?
			dev->data->tx_queues[i] : NULL;

		if (rxq != NULL) {
			stats->q_ipackets[i] = rxq->count.packets - rxq->base.packets;
			stats->q_ibytes[i] = rxq->count.bytes - rxq->base.bytes;
		}
		if (txq != NULL) {
			stats->q_opackets[i] = txq->count.packets - txq->base.packets;
			stats->q_obytes[i] = txq->count.bytes - txq->base.bytes;
		}
	}
}

int
nfe_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
	      struct nfe_queue_stats *queues)
{
	struct nfe_port *port = nfe_port(dev);
	struct nfe_tx_counters tx;
	struct nfe_rx_counters rx;

	tx_sum(dev, &tx);
	rx_sum(dev, &rx);
	dev_read(dev);
	stats->ipackets = rx.packets;
	stats->ibytes = rx.bytes;
	stats->opackets = tx.packets;
	stats->obytes = tx.bytes;
	stats->oerrors = tx.drop_unregistered + tx.drop_segs + tx.drop_runt + tx.drop_giant +
			 tx.drop_hints;
	stats->ierrors = rx.bad_index + rx.bad_type + rx.bad_truncated + rx.bad_length +
			 rx.bad_segs + rx.bad_cookie + rx.bad_fill_end;
	stats->rx_nombuf = rx.nombuf;
	stats->imissed = dev_count(port, NFE_STAT_to_drop_full) +
			 dev_count(port, NFE_STAT_to_drop_no_buffer);
	if (queues != NULL)
		queue_stats(dev, queues);
	return 0;
}

int
nfe_stats_reset(struct rte_eth_dev *dev)
{
	struct nfe_port *port = nfe_port(dev);

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		struct nfe_rxq *q = dev->data->rx_queues[i];

		if (q != NULL)
			q->base = q->count;
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		struct nfe_txq *q = dev->data->tx_queues[i];

		if (q != NULL)
			q->base = q->count;
	}
	dev_read(dev);
	memcpy(port->dev_base, port->dev_stats, sizeof(port->dev_base));
	return 0;
}

int
nfe_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	struct nfe_port *port = nfe_port(dev);
	uint64_t tx[NB_TX], rx[NB_RX];
	unsigned int id = 0;

	if (n < NB_XSTATS || xstats == NULL)
		return NB_XSTATS;
	tx_sum(dev, (struct nfe_tx_counters *)tx);
	rx_sum(dev, (struct nfe_rx_counters *)rx);
	dev_read(dev);
	for (unsigned int i = NFE_OWN_BASIC; i < NB_TX; i++)
		xstats[id++].value = tx[i];
	for (unsigned int i = NFE_OWN_BASIC; i < NB_RX; i++)
		xstats[id++].value = rx[i];
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		xstats[id++].value = dev_count(port, i);
	xstats[id++].value = port->replays;
	for (unsigned int i = 0; i < id; i++)
		xstats[i].id = i;
	return id;
}

static unsigned int
add_names(struct rte_eth_xstat_name *names, unsigned int id, const char *const *list,
	  unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < n; i++)
		snprintf(names[id++].name, sizeof(names[0].name), "%s", list[i]);
	return id;
}

int
nfe_xstats_get_names(struct rte_eth_dev *dev __rte_unused, struct rte_eth_xstat_name *names,
		     unsigned int n)
{
	static const char *const replays[] = { "replays" };
	unsigned int id = 0;

	if (names == NULL || n < NB_XSTATS)
		return NB_XSTATS;
	id = add_names(names, id, tx_names, NFE_OWN_BASIC, NB_TX);
	id = add_names(names, id, rx_names, NFE_OWN_BASIC, NB_RX);
	id = add_names(names, id, dev_names, 0, NFE_STAT_MAX);
	return add_names(names, id, replays, 0, 1);
}
