/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Shared memory of queues and status blocks, see nfe_zone.h: a memzone in EAL memory, which is
 * registered as a whole (nfe_mem.c), or in copy mode a part of the one area that is (nfe_share.c).
 */
#include <errno.h>
#include <string.h>

#include "nfe_ethdev.h"

int
nfe_zone_alloc(struct nfe_port *port, const char *what, size_t len, int socket,
	       struct nfe_zone *zone)
{
	char name[RTE_MEMZONE_NAMESIZE];
	int ret;

	if (port->share != NULL)
		return nfe_share_alloc(port, what, len, zone);
	snprintf(name, sizeof(name), "nfe_%u_%s", port->dev->data->port_id, what);
	/* The bound keeps it within one page as long as it fits in one, so within one region. */
	zone->mz = rte_memzone_reserve_bounded(name, len, socket, nfe_mem_flags(port),
					       NFE_STATUS_ALIGN, rte_align64pow2(len));
	if (zone->mz == NULL) {
		NFE_LOG(ERR, "%s: %s: no memory for %zu bytes: %s", port->name, what, len,
			rte_strerror(rte_errno));
		return -rte_errno;
	}
	zone->addr = zone->mz->addr;
	zone->len = len;
	ret = nfe_mem_lookup(port, zone->addr, len, &zone->key, &zone->offset);
	if (ret < 0) {
		NFE_LOG(ERR,
			"%s: %s: memory at %p can't be shared with the device: " NFE_MEM_UNSHARED,
			port->name, what, (void *)zone->addr);
		nfe_zone_free(port, zone);
	}
	return ret;
}

void
nfe_zone_free(struct nfe_port *port, struct nfe_zone *zone)
{
	if (zone->addr != NULL && zone->mz == NULL)
		nfe_share_release(port, zone);
	rte_memzone_free(zone->mz);
	memset(zone, 0, sizeof(*zone));
}
