/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Pages in the order of the device's address space. Hugepages that EAL puts side by side may come
 * from anywhere, often from high to low; a run of pages that follow each other for the device
 * becomes one region however they lie here.
 */
#ifndef NFE_RUN_H
#define NFE_RUN_H

#include <stdint.h>

struct nfe_part {
	uintptr_t va;
	uint64_t iova, len;
};

/* Sorts by iova and joins neighbours that follow each other in both spaces. Returns how many are
 * left. */
unsigned int nfe_parts_sort(struct nfe_part *part, unsigned int n);
/* How many of the first n parts follow each other for the device; *bytes is their sum. n > 0. */
unsigned int nfe_parts_run(const struct nfe_part *part, unsigned int n, uint64_t *bytes);

struct nfe_map;

/* EAL's pages in [va, va + len) that map does not have yet, sorted as above; free() the array.
 * -EFAULT: a page has no address for the device. Called with EAL's memory locked. */
int nfe_parts_collect(const struct nfe_map *map, uintptr_t va, uint64_t len, struct nfe_part **out,
		      unsigned int *nb);

#endif /* NFE_RUN_H */
