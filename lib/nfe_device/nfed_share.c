/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Dividing descriptors and maps by VIFs, see nfed_share.h. All sums in 64 bits; any thread.
 */
#include <errno.h>

#include "nfed_internal.h"
#include "nfed_share.h"

/* Measured: 7 of an idle VIF (listening socket, epoll, timer, two kicks of two), and connection,
 * doorbells and the guest's two kicks; two for connections that wait. One more per vector. */
#define FDS_PER_VIF 13u
/* EAL, uplinks, telemetry, loops; and three guests at a time that do all they can: two more connections
 * that wait, 16 in a message, as many of the last one being closed, and as many files of memory. */
#define FDS_BESIDES 256u
/* Control queues and status block, doorbells. */
#define MAPS_PER_VIF (NFED_CTRL_PARTS * NFED_CTRL_PIECES + 1u)
#define MAPS_RESERVE_SHIFT 3 /* an eighth for the EAL's own growth, stacks, libraries */

/* Maps: with a vIOMMU each 4 KiB page is one; files: a VM has a few, EAL one per hugepage. */
static const struct nfed_dma_limits dma_most = { .max_maps = 32768, .max_files = 4096 };
static const uint32_t dma_maps_of_all = 4u << 20; /* 160 MiB of table entries */
static const uint32_t dma_maps_least = 1024;

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
fds_fixed(unsigned int nb_vifs, uint64_t nb_queues)
{
	return FDS_BESIDES + (uint64_t)nb_vifs * (FDS_PER_VIF + 1) + nb_queues;
}

uint64_t
nfed_share_fds_needed(unsigned int nb_vifs, uint64_t nb_queues)
{
	return fds_fixed(nb_vifs, nb_queues) + (uint64_t)nb_vifs * NFED_SHARE_MIN_FILES;
}

static uint64_t
maps_fixed(const struct nfed_share_budget *b)
{
	return b->maps_in_use + (b->max_maps >> MAPS_RESERVE_SHIFT);
}

uint64_t
nfed_share_maps_needed(const struct nfed_share_budget *b)
{
	uint64_t vifs = (uint64_t)b->nb_vifs * (MAPS_PER_VIF + NFED_SHARE_MIN_MAPPINGS);

	/* The reserve is a part of the answer: in eighths, 8/7 of the rest, rounded up. */
	return ((b->maps_in_use + vifs) * 8 + 6) / 7;
}

int
nfed_share_divide(const struct nfed_share_budget *b, struct nfed_share *share)
{
	uint64_t nb = b->nb_vifs > 0 ? b->nb_vifs : 1, fixed, maps;

	if (b->max_fds < nfed_share_fds_needed(b->nb_vifs, b->nb_queues))
		return -EMFILE;
	fixed = maps_fixed(b);
	/* Each mapping takes a slot of the guard, and at least one map. */
	maps = b->max_maps > fixed ? least(b->max_maps - fixed, NFED_GUARD_SLOTS) / nb : 0;
	if (maps < MAPS_PER_VIF + NFED_SHARE_MIN_MAPPINGS)
		return -ENOMEM;
	share->max_mappings = (uint32_t)least(maps - MAPS_PER_VIF,
					      nfed_limits_default.region.max_mappings);
	share->dma.max_files = (uint32_t)least((b->max_fds - fds_fixed(b->nb_vifs, b->nb_queues)) /
					       nb, dma_most.max_files);
	share->dma.max_maps = (uint32_t)least(dma_maps_of_all / nb, dma_most.max_maps);
	if (share->dma.max_maps < dma_maps_least)
		share->dma.max_maps = dma_maps_least;
	return 0;
}
