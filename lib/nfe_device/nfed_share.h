/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What the process may have of descriptors and memory maps, divided by its VIFs in equal shares that
 * nobody can exceed: guests together then can't exhaust them, and the SIGBUS guard always finds
 * room. Arithmetic only; the daemon asks the system and puts the share into each function's limits.
 */
#ifndef NFED_SHARE_H
#define NFED_SHARE_H

#include <stdint.h>

#include "nfed_dma.h"

#define NFED_SHARE_MIN_FILES 3u    /* of guest memory: a VM or process with few files */
#define NFED_SHARE_MIN_MAPPINGS 8u /* of guest memory */

struct nfed_share_budget {
	unsigned int nb_vifs;
	uint64_t nb_queues;  /* queue pairs of all VIFs */
	uint64_t max_fds;    /* RLIMIT_NOFILE */
	uint64_t max_maps;   /* vm.max_map_count */
	uint64_t maps_in_use; /* by the EAL and others, before any guest comes */
};

struct nfed_share { /* of each VIF */
	struct nfed_dma_limits dma;
	uint32_t max_mappings; /* for nfed_region_limits */
};

/* The least that these VIFs need, the rest of the process included. */
uint64_t nfed_share_fds_needed(unsigned int nb_vifs, uint64_t nb_queues);
uint64_t nfed_share_maps_needed(const struct nfed_share_budget *budget);
/* -EMFILE: too few descriptors, -ENOMEM: too few maps. */
int nfed_share_divide(const struct nfed_share_budget *budget, struct nfed_share *share);

#endif /* NFED_SHARE_H */
