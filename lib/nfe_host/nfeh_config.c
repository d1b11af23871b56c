/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Configuration of the VIF behind the function (specification 7.6..7.9): MAC addresses, receive
 * mode, MTU, remembered for the replay once the device has accepted them; and its counters.
 */
#include <errno.h>
#include <string.h>

#include "nfeh_internal.h"

struct mac_args {
	const uint8_t *mac;
	enum nfe_mac_action action;
};

static int
send_mac(struct nfeh *h, const uint8_t mac[6], enum nfe_mac_action action)
{
	struct nfe_req req = { .mac = { .action = (uint8_t)action } };

	memcpy(req.mac.mac, mac, 6);
	return nfeh_call_locked(h, &req, NFE_OP_MAC, NULL);
}

static int
find_mac(const struct nfeh_config *c, const uint8_t mac[6])
{
	for (unsigned int i = 0; i < c->nb_macs; i++)
		if (memcmp(c->macs[i], mac, 6) == 0)
			return (int)i;
	return -ENOENT;
}

static void
remember_mac(struct nfeh_config *c, const uint8_t mac[6], enum nfe_mac_action action)
{
	int i = find_mac(c, mac);

	switch (action) {
	case NFE_MAC_SET:
		memcpy(c->mac, mac, 6);
		c->mac_set = true;
		break;
	case NFE_MAC_ADD:
		if (i < 0)
			memcpy(c->macs[c->nb_macs++], mac, 6);
		break;
	case NFE_MAC_REMOVE:
		if (i >= 0)
			memmove(c->macs[i], c->macs[--c->nb_macs], 6);
		break;
	}
}

static int
mac_op(struct nfeh *h, void *arg)
{
	const struct mac_args *a = arg;
	int rc;

	if (a->action == NFE_MAC_ADD && h->config.nb_macs == NFEH_MAX_MACS &&
	    find_mac(&h->config, a->mac) < 0)
		return -ENOSPC;
	rc = send_mac(h, a->mac, a->action);
	if (rc == 0)
		remember_mac(&h->config, a->mac, a->action);
	return rc;
}

int
nfeh_mac(struct nfeh *h, const uint8_t mac[6], enum nfe_mac_action action)
{
	struct mac_args a = { .mac = mac, .action = action };

	return nfeh_run(h, mac_op, &a, false);
}

static int
send_rx_mode(struct nfeh *h, uint32_t mode)
{
	struct nfe_req req = { .rx_mode = { .mode = mode } };

	return nfeh_call_locked(h, &req, NFE_OP_RX_MODE, NULL);
}

static int
rx_mode_op(struct nfeh *h, void *arg)
{
	uint32_t mode = *(const uint32_t *)arg;
	int rc = send_rx_mode(h, mode);

	if (rc == 0) {
		h->config.rx_mode = mode;
		h->config.rx_mode_set = true;
	}
	return rc;
}

int
nfeh_rx_mode(struct nfeh *h, uint32_t mode)
{
	return nfeh_run(h, rx_mode_op, &mode, false);
}

static int
send_mtu(struct nfeh *h, uint32_t mtu)
{
	struct nfe_req req = { .mtu = { .mtu = mtu } };

	return nfeh_call_locked(h, &req, NFE_OP_MTU, NULL);
}

static int
mtu_op(struct nfeh *h, void *arg)
{
	uint32_t mtu = *(const uint32_t *)arg;
	int rc = send_mtu(h, mtu);

	if (rc == 0) {
		h->config.mtu = mtu;
		h->config.mtu_set = true;
	}
	return rc;
}

int
nfeh_mtu(struct nfeh *h, uint32_t mtu)
{
	return nfeh_run(h, mtu_op, &mtu, false);
}

/* Rule 16: what the device says about its own counters. */
static int
check_stats(struct nfeh *h, const struct nfe_rsp_stats *s, uint32_t first)
{
	if (s->first == first && s->n >= 1 && s->n <= NFE_STATS_PER_RSP &&
	    first + s->n <= s->total)
		return 0;
	h->counters.bad_length++;
	nfeh_log(h, 1, "statistics: first %u, n %u, total %u where first is %u, n at most %u",
		 s->first, s->n, s->total, first, NFE_STATS_PER_RSP);
	return -EPROTO;
}

/* All responses under one lock: the device copies its counters at first 0, so they add up. */
static int
stats_op(struct nfeh *h, void *arg)
{
	uint64_t *value = arg;
	uint32_t first = 0, total = NFE_STAT_MAX;

	memset(value, 0, NFE_STAT_MAX * sizeof(*value));
	while (first < total) {
		struct nfe_req req = { .stats = { .first = first } };
		struct nfe_rsp rsp;
		int rc = nfeh_call_locked(h, &req, NFE_OP_STATS, &rsp);

		if (rc == 0)
			rc = check_stats(h, &rsp.stats, first);
		if (rc < 0)
			return rc;
		for (uint32_t i = 0; i < rsp.stats.n && first + i < NFE_STAT_MAX; i++)
			value[first + i] = rsp.stats.value[i];
		if (rsp.stats.total < total)
			total = rsp.stats.total; /* an older device: the rest stays 0 */
		first += rsp.stats.n;
	}
	return 0;
}

int
nfeh_stats(struct nfeh *h, uint64_t value[NFE_STAT_MAX])
{
	return nfeh_run(h, stats_op, value, false);
}

/* An address that the new device refuses is its policy, no reason to stay down: say it, go on. */
void
nfeh_config_replay_locked(struct nfeh *h)
{
	const struct nfeh_config *c = &h->config;
	int rc;

	if (c->mac_set && (rc = send_mac(h, c->mac, NFE_MAC_SET)) < 0)
		nfeh_log(h, 1, "replay: MAC address refused: %s", strerror(-rc));
	for (unsigned int i = 0; i < c->nb_macs; i++) {
		rc = send_mac(h, c->macs[i], NFE_MAC_ADD);
		if (rc < 0)
			nfeh_log(h, 1, "replay: further MAC address refused: %s", strerror(-rc));
	}
	nfeh_rx_replay_locked(h); /* before the mode that filters by VLAN */
	if (c->rx_mode_set && (rc = send_rx_mode(h, c->rx_mode)) < 0)
		nfeh_log(h, 1, "replay: receive mode 0x%x refused: %s", c->rx_mode, strerror(-rc));
	if (c->mtu_set && (rc = send_mtu(h, c->mtu)) < 0)
		nfeh_log(h, 1, "replay: MTU %u refused: %s", c->mtu, strerror(-rc));
}

struct register_args {
	uint32_t *value;
	unsigned int nb;
};

static int
registers_op(struct nfeh *h, void *arg)
{
	const struct register_args *a = arg;

	for (unsigned int i = 0; i < a->nb; i++) {
		int rc = h->bus->ops->reg_read(h->bus, 8 * i, &a->value[i]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int
nfeh_registers(struct nfeh *h, uint32_t *value, unsigned int nb)
{
	struct register_args a = { .value = value, .nb = nb };

	return nfeh_run(h, registers_op, &a, false);
}
