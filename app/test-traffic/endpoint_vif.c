/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Endpoint on the guest library: stock rte_rings, no ethdev. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vif.h>

#include "endpoint.h"

struct ep_vif {
	struct endpoint ep;
	struct vif *vif;
};

static void
on_link(void *ctx, bool up)
{
	endpoint_link(ctx, up);
}

static int
ep_vif_send(struct endpoint *ep, unsigned int queue, const uint8_t *frame, uint32_t len)
{
	struct ep_vif *e = (struct ep_vif *)ep;

	(void)queue;
	return vif_send(e->vif, frame, len);
}

static void
ep_vif_flush(struct endpoint *ep, unsigned int queue)
{
	struct ep_vif *e = (struct ep_vif *)ep;

	(void)queue;
	vif_kick(e->vif);
	vif_reclaim(e->vif);
}

static int
ep_vif_recv(struct endpoint *ep, uint8_t *frame)
{
	struct ep_vif *e = (struct ep_vif *)ep;
	int rc = vif_recv(e->vif, frame, ENDPOINT_MAX_FRAME);

	vif_refill(e->vif, ENDPOINT_BURST);
	return rc;
}

static void
ep_vif_close(struct endpoint *ep)
{
	struct ep_vif *e = (struct ep_vif *)ep;

	vif_detach(e->vif);
	free(e);
}

static const struct endpoint_ops ops = {
	.send = ep_vif_send,
	.flush = ep_vif_flush,
	.recv = ep_vif_recv,
	.close = ep_vif_close,
};

struct endpoint *
endpoint_vif_open(const char *address, const struct endpoint_conf *conf)
{
	struct ep_vif *e = calloc(1, sizeof(*e));
	struct vif_conf vc = { .name = "test-traffic", .ring_size = conf->desc,
			       .buf_size = conf->buf_size, .first_index = conf->first_index,
			       .link = on_link, .ctx = e };

	if (e == NULL)
		return NULL;
	e->ep.ops = &ops;
	e->ep.queues = 1;
	e->vif = vif_attach(address, &vc);
	if (e->vif == NULL)
		goto free_ep;
	if (conf->mtu != 0 && vif_set_mtu(e->vif, conf->mtu) != 0) {
		fprintf(stderr, "test-traffic: %s: mtu %u refused\n", address, conf->mtu);
		goto detach;
	}
	vif_mac(e->vif, e->ep.mac);
	vif_refill(e->vif, vif_nb_bufs(e->vif) / 2);
	return &e->ep;

detach:
	vif_detach(e->vif);
free_ep:
	free(e);
	return NULL;
}
