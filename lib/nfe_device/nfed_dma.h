/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Guest memory as the transport learns of it: maps (iova -> file, offset), each file kept once,
 * keyed by (st_dev, st_ino). Nothing is mapped into our address space until a region is
 * registered: then a range is reserved and the pieces are mapped into it side by side.
 *
 * Control thread only. Rule 14: files must be on tmpfs or hugetlbfs, holes are refused, and the
 * SIGBUS guard watches what is mapped.
 */
#ifndef NFED_DMA_H
#define NFED_DMA_H

#include <stdint.h>

struct nfed_dma;
struct nfed_dma_limits {
	uint32_t max_maps;  /* entries of the table */
	uint32_t max_files; /* descriptors kept open */
	/* Bytes whose page tables are filled when they are mapped, so that no data lcore takes a
	 * fault for them; earned again within NFED_DMA_AHEAD_S. 0: none. */
	uint64_t max_ahead;
};

#define NFED_DMA_AHEAD_S 16u

/* In place of close(), of the last descriptor that we have of a file: it may free all the guest's memory,
 * and that takes long. */
typedef void (*nfed_dma_close_fn)(void *ctx, int fd);

struct nfed_dma *nfed_dma_create(const struct nfed_dma_limits *limits);
void nfed_dma_destroy(struct nfed_dma *dma); /* all mappings must be gone */
void nfed_dma_set_close(struct nfed_dma *dma, nfed_dma_close_fn close_file, void *ctx);

/* Takes ownership of fd in every case. fd -1: an unreachable map. -EEXIST: overlaps another map;
 * -EINVAL: size 0, overflow, misaligned or beyond the file; -EPERM: not tmpfs/hugetlbfs; -ENOSPC */
int nfed_dma_add(struct nfed_dma *dma, uint64_t iova, uint64_t size, uint32_t prot, int fd,
		 uint64_t fd_offset);
/* Forget all maps inside or across the range. Regions using them were removed before. */
void nfed_dma_del(struct nfed_dma *dma, uint64_t iova, uint64_t size);
void nfed_dma_clear(struct nfed_dma *dma);

/* As nfed_transport_ops.map / unmap; ctx is a struct nfed_dma. */
int nfed_dma_map(void *ctx, uint64_t iova, uint64_t len, uint32_t access, uint32_t *poisoned,
		 unsigned int *nb_mappings, uint8_t **base, void **mapping);
void nfed_dma_unmap(void *ctx, void *mapping);

/* The SIGBUS guard: process-wide, async-signal-safe, installed once by the daemon. */
int nfed_guard_install(void);
/* Ranges watched at a time, of all functions together: the daemon shares them out (nfed_share.h). */
#define NFED_GUARD_SLOTS 131072u
/* Watch [base, base + len): a fault in it maps anonymous memory over the whole and sets *poisoned.
 * Returns a slot >= 0 or -ENOSPC. */
int nfed_guard_add(void *base, uint64_t len, uint32_t *poisoned);
void nfed_guard_del(int slot);
uint64_t nfed_guard_faults(void); /* SIGBUS absorbed since start */

#endif /* NFED_DMA_H */
