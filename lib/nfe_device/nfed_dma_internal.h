/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Shared by nfed_dma.c (the table of maps and files) and nfed_dma_map.c (mapping a range of it).
 * Control thread only.
 */
#ifndef NFED_DMA_INTERNAL_H
#define NFED_DMA_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "nfed_allowance.h"
#include "nfed_dma.h"

struct nfed_dma_file {
	dev_t dev;
	ino_t ino;
	int accmode; /* O_RDONLY or O_RDWR: one file may come in both */
	int fd;      /* -1: free slot */
	uint32_t refs;
	uint64_t block; /* bytes that mmap() aligns to */
	bool hugetlb;
};

struct nfed_dma_entry {
	uint64_t iova;
	uint64_t size;
	uint64_t offset; /* in the file */
	int32_t file;    /* index, or -1: unreachable */
	uint32_t prot;   /* bit 0 readable, bit 1 writable by us */
};

struct nfed_dma {
	struct nfed_dma_limits limits;
	struct nfed_dma_file *files;
	struct nfed_dma_entry *maps; /* sorted by iova, disjoint */
	uint32_t nb_maps;
	uint32_t live_mappings; /* given out by nfed_dma_map() */
	struct nfed_allowance ahead; /* pages of limits.max_ahead; ms */
	struct nfed_seeker *seeker;
	nfed_dma_close_fn close_file;
	void *close_ctx;
};

/* Index of the first map whose end lies beyond iova; nb_maps if none. */
uint32_t nfed_dma_find(const struct nfed_dma *dma, uint64_t iova);
/* Is [offset, offset + size) inside the file as it is now? *full: all of it has pages, whole file */
bool nfed_dma_in_file(const struct nfed_dma_file *file, uint64_t offset, uint64_t size, bool *full);

#endif /* NFED_DMA_INTERNAL_H */
