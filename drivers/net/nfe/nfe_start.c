/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Start and stop of a port and of its queues. A queue that is stopped has no mbufs and a closed
 * gate: bursts on it give 0. One that is set up with deferred start stays so until it is started by
 * itself.
 *
 * Called by ethdev, one call at a time per port. Data threads of other queues run on, those of the
 * queue of the same channel and other direction find their gate closed for a moment.
 */
#include <errno.h>

#include "nfe_ethdev.h"
#include "nfe_mp.h"

static struct nfe_rxq *
rxq_at(const struct rte_eth_dev *dev, uint16_t i)
{
	return i < dev->data->nb_rx_queues ? dev->data->rx_queues[i] : NULL;
}

static struct nfe_txq *
txq_at(const struct rte_eth_dev *dev, uint16_t i)
{
	return i < dev->data->nb_tx_queues ? dev->data->tx_queues[i] : NULL;
}

/* Tells ethdev what is started, and takes the mbufs out of what no longer is. */
static void
settle(struct rte_eth_dev *dev, uint16_t i)
{
	const struct nfe_port *port = nfe_port(dev);
	uint8_t *rx_state = &dev->data->rx_queue_state[i],
		*tx_state = &dev->data->tx_queue_state[i];

	if (rxq_at(dev, i) != NULL && port->rxq[i] == NULL)
		nfe_rx_queue_reset(rxq_at(dev, i));
	if (txq_at(dev, i) != NULL && port->txq[i] == NULL)
		nfe_tx_queue_reset(txq_at(dev, i));
	*rx_state =
		port->rxq[i] != NULL ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
	*tx_state =
		port->txq[i] != NULL ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
}

static int
chan_set(struct rte_eth_dev *dev, uint16_t i, struct nfe_rxq *rxq, struct nfe_txq *txq)
{
	int ret = nfe_chan_set(nfe_port(dev), i, rxq, txq);

	settle(dev, i);
	return ret;
}

static int
stop_channels(struct rte_eth_dev *dev, uint16_t nb)
{
	const struct nfe_port *port = nfe_port(dev);
	int ret;

	while (nb-- > 0) {
		if (port->rxq[nb] == NULL && port->txq[nb] == NULL)
			continue; /* stopped before */
		ret = chan_set(dev, nb, NULL, NULL);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int
start_channel(struct rte_eth_dev *dev, uint16_t i)
{
	struct nfe_rxq *rxq = rxq_at(dev, i);
	struct nfe_txq *txq = txq_at(dev, i);

	if (rxq != NULL && rxq->deferred)
		rxq = NULL;
	if (txq != NULL && txq->deferred)
		txq = NULL;
	return chan_set(dev, i, rxq, txq);
}

int
nfe_start(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;
	struct nfe_port *port = nfe_port(dev);
	uint16_t nb = RTE_MAX(data->nb_rx_queues, data->nb_tx_queues), i;
	int ret = nfe_mtu_check_buffers(dev, data->mtu);

	if (ret == 0)
		ret = nfe_mtu_apply(port, data->mtu);
	if (ret < 0)
		return ret;
	for (i = 0; i < nb; i++) {
		ret = start_channel(dev, i);
		if (ret < 0) {
			stop_channels(dev, i);
			return ret;
		}
	}
	rte_atomic_store_explicit(&port->running, 1, rte_memory_order_release);
	nfe_mp_sync(port);
	nfe_link_update(dev, 0);
	return 0;
}

/* On an error the device may still use the buffers of what did not stop; call again. */
int
nfe_stop(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;
	struct nfe_port *port = nfe_port(dev);
	int ret;

	rte_atomic_store_explicit(&port->running, 0, rte_memory_order_release);
	nfe_mp_sync(port);
	ret = stop_channels(dev, RTE_MAX(data->nb_rx_queues, data->nb_tx_queues));
	nfe_link_update(dev, 0);
	return ret;
}

int
nfe_rx_queue_start(struct rte_eth_dev *dev, uint16_t id)
{
	int ret = nfe_mtu_check_buffers(dev, dev->data->mtu); /* it may have been set up just now */

	return ret < 0 ? ret : chan_set(dev, id, rxq_at(dev, id), nfe_port(dev)->txq[id]);
}

int
nfe_rx_queue_stop(struct rte_eth_dev *dev, uint16_t id)
{
	return chan_set(dev, id, NULL, nfe_port(dev)->txq[id]);
}

int
nfe_tx_queue_start(struct rte_eth_dev *dev, uint16_t id)
{
	return chan_set(dev, id, nfe_port(dev)->rxq[id], txq_at(dev, id));
}

int
nfe_tx_queue_stop(struct rte_eth_dev *dev, uint16_t id)
{
	return chan_set(dev, id, nfe_port(dev)->rxq[id], NULL);
}
