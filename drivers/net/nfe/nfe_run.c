/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Runs of pages, see nfe_run.h. Called by nfe_mem.c on the thread that changes EAL's memory.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_memory.h>

#include "nfe_map.h"
#include "nfe_run.h"

static int
by_iova(const void *a, const void *b)
{
	const struct nfe_part *x = a, *y = b;

	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

unsigned int
nfe_parts_sort(struct nfe_part *part, unsigned int n)
{
	unsigned int kept = 0;

	qsort(part, n, sizeof(*part), by_iova);
	for (unsigned int i = 0; i < n; i++) {
		struct nfe_part *last = kept > 0 ? &part[kept - 1] : NULL;

		if (last != NULL && last->iova + last->len == part[i].iova &&
		    last->va + last->len == part[i].va)
			last->len += part[i].len;
		else
			part[kept++] = part[i];
	}
	return kept;
}

unsigned int
nfe_parts_run(const struct nfe_part *part, unsigned int n, uint64_t *bytes)
{
	unsigned int i = 1;

	while (i < n && part[i].iova == part[i - 1].iova + part[i - 1].len)
		i++;
	*bytes = part[i - 1].iova + part[i - 1].len - part[0].iova;
	return i;
}

int
nfe_parts_collect(const struct nfe_map *map, uintptr_t va, uint64_t len, struct nfe_part **out,
		  unsigned int *nb)
{
	const struct rte_memseg_list *msl = rte_mem_virt2memseg_list((void *)va);
	struct nfe_part *part;
	unsigned int n = 0;

	if (msl == NULL)
		return -EFAULT;
	part = calloc(len / msl->page_sz, sizeof(*part));
	if (part == NULL)
		return -ENOMEM;
	for (uint64_t done = 0; done < len; done += msl->page_sz) {
		const struct rte_memseg *ms = rte_mem_virt2memseg((void *)(va + done), msl);

		if (ms == NULL || ms->iova == RTE_BAD_IOVA) {
			free(part);
			return -EFAULT;
		}
		if (nfe_map_search(map, va + done) == UINT32_MAX)
			part[n++] = (struct nfe_part){ va + done, ms->iova, ms->len };
	}
	*nb = nfe_parts_sort(part, n);
	*out = part;
	return 0;
}
