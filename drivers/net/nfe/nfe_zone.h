/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory that port and device share for queues and status blocks, within one region. Control path.
 */
#ifndef NFE_ZONE_H
#define NFE_ZONE_H

#include <stddef.h>
#include <stdint.h>

struct nfe_port;
struct rte_memzone;

struct nfe_zone {
	uint8_t *addr; /* NULL: none */
	size_t len;
	uint32_t key; /* region */
	uint64_t offset;
	const struct rte_memzone *mz; /* NULL: of nfe_share.c */
};

/* At least 128-aligned; what: unique within the port, for the memzone's name and messages.
 * 0 or a negative errno, with a line in the log. */
int nfe_zone_alloc(struct nfe_port *port, const char *what, size_t len, int socket,
		   struct nfe_zone *zone);
void nfe_zone_free(struct nfe_port *port, struct nfe_zone *zone); /* none: a no-op */

#endif /* NFE_ZONE_H */
