/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Memory of a guest as a memfd, and mappings of it.
 */
#ifndef TEST_NFED_DMA_FIXTURE_H
#define TEST_NFED_DMA_FIXTURE_H

#include <sys/mman.h>
#include <unistd.h>

#include <nfed_internal.h>

#include <nfed_dma_internal.h>

#include "test.h"

#define PAGE ((uint64_t)NFE_PAGE_SIZE)
#define IOVA UINT64_C(0x100000000)
#define RD NFE_ACCESS_READ
#define RW (NFE_ACCESS_READ | NFE_ACCESS_WRITE)

static const struct nfed_dma_limits limits = { .max_maps = 16, .max_files = 4 };

/* A memfd of so many pages; page n is filled with first + n, so none is a hole. */
static inline int
filled_memfd(unsigned int pages, uint8_t first)
{
	int fd = memfd_create("guest", MFD_CLOEXEC);
	uint8_t page[NFE_PAGE_SIZE];

	for (unsigned int i = 0; i < pages; i++) {
		memset(page, first + (int)i, sizeof(page));
		if (pwrite(fd, page, sizeof(page), (off_t)(i * PAGE)) != (ssize_t)sizeof(page))
			return -1;
	}
	return fd;
}

/* One mapping, as a region has it. poisoned changes behind the compiler's back. */
struct mapped {
	uint8_t *base;
	void *handle;
	volatile uint32_t poisoned;
	unsigned int nb;
};

static inline int
map_at_most(unsigned int nb, struct nfed_dma *dma, uint64_t iova, uint64_t len, uint32_t access,
	    struct mapped *m)
{
	m->nb = nb;
	m->poisoned = 0;
	return nfed_dma_map(dma, iova, len, access, (uint32_t *)(uintptr_t)&m->poisoned, &m->nb,
			    &m->base, &m->handle);
}

static inline int
map(struct nfed_dma *dma, uint64_t iova, uint64_t len, uint32_t access, struct mapped *m)
{
	return map_at_most(8, dma, iova, len, access, m);
}

#endif /* TEST_NFED_DMA_FIXTURE_H */
