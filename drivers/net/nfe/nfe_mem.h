/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL memory as regions of the function: address -> (key, offset).
 *
 * All EAL memory that has file descriptors is registered at probe; what EAL allocates and frees
 * later follows through its memory events. Data threads translate through a map (nfe_map.h) that is
 * never changed: a new one replaces it, and the old one is freed once every gate was passed.
 */
#ifndef NFE_MEM_H
#define NFE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nfe_map.h"

/* Why memory is not registered, for messages; what else went wrong was logged before. */
#define NFE_MEM_UNSHARED \
	"it has no file descriptor (use hugepages, --in-memory or --no-huge) or was refused"

struct nfe_port;
struct nfe_mem;
struct rte_mempool;

/* For memory zones that must lie in one region. */
unsigned int nfe_mem_flags(const struct nfe_port *port);

/* Register all EAL memory and follow its changes; or, in copy mode, only the area that was made for
 * it (nfe_share.h). Needs port->h. */
int nfe_mem_start(struct nfe_port *port);
/* No more events on return. Before nfeh_detach(), which takes the regions away. */
void nfe_mem_stop(struct nfe_port *port);
void nfe_mem_free(struct nfe_port *port);

/* Control path; both wait up to 2000 ms for what can't be registered while the device is away.
 * The region that holds all of [addr, addr + len). -EFAULT: none does, or several. */
int nfe_mem_lookup(struct nfe_port *port, const void *addr, uint64_t len, uint32_t *key,
		   uint64_t *offset);
/* -EFAULT: the device can't reach all of the pool's memory; where: the first such address. */
int nfe_mem_check_pool(struct nfe_port *port, struct rte_mempool *pool, const void **where);

#endif /* NFE_MEM_H */
