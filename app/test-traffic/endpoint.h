/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Where test-traffic sends and receives: an ethdev ("port:NAME") or the guest library
 * ("vif:ADDRESS"), behind one small interface. One thread uses an endpoint.
 */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <stdint.h>

#define ENDPOINT_MAX_FRAME 9216
#define ENDPOINT_BURST 32

struct endpoint;

struct endpoint_conf {
	unsigned int queues; /* ethdev only */
	unsigned int desc;   /* descriptors per queue, or ring size */
	uint32_t mtu;        /* bytes; 0: leave */
	uint32_t buf_size;   /* bytes of a receive buffer */
	uint32_t seg_max;    /* ethdev: longest segment of a sent frame, 0: one segment */
	uint32_t first_index; /* vif only; the PMD takes it as a device argument */
};

struct endpoint_ops {
	int (*send)(struct endpoint *ep, unsigned int queue, const uint8_t *frame, uint32_t len);
	void (*flush)(struct endpoint *ep, unsigned int queue);
	int (*recv)(struct endpoint *ep, uint8_t *frame); /* bytes, 0: nothing there */
	void (*close)(struct endpoint *ep);
};

struct endpoint { /* first member of each kind's own */
	const struct endpoint_ops *ops;
	uint8_t mac[6];
	unsigned int queues;
	uint32_t link_up;      /* atomic */
	uint32_t link_changes; /* atomic */
	char name[64];
};

/* NULL: a line on stderr says why. */
struct endpoint *endpoint_open(const char *spec, const struct endpoint_conf *conf);
struct endpoint *endpoint_ethdev_open(const char *name, const struct endpoint_conf *conf);
struct endpoint *endpoint_vif_open(const char *address, const struct endpoint_conf *conf);
/* Called from any thread when the link changes. */
void endpoint_link(struct endpoint *ep, int up);

#endif /* ENDPOINT_H */
