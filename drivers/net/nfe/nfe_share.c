/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The shared area of a port in copy mode, see nfe_share.h: first fit over an array of pages. There
 * are a few zones per queue, allocated and freed at set-up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nfe_ethdev.h"

struct nfe_share {
	uint8_t *base;
	uint32_t key;
	uint32_t nb_pages;
	size_t per_queue; /* bytes */
	uint8_t used[];	  /* by page */
};

static uint32_t
pages_of(size_t len)
{
	return (len + NFE_PAGE_SIZE - 1) / NFE_PAGE_SIZE;
}

int
nfe_share_start(struct nfe_port *port)
{
	const struct nfe_bus_mem *mem = nfeh_mem(port->h);
	struct nfe_map *none = nfe_map_alloc(0);
	uint32_t nb_pages = pages_of(mem->len);
	int ret = -ENOMEM;

	port->share = calloc(1, sizeof(*port->share) + nb_pages);
	if (port->share == NULL || none == NULL)
		goto out;
	port->share->base = mem->addr;
	port->share->nb_pages = nb_pages;
	ret = nfeh_region_add(port->h, mem->addr, mem->iova, mem->len, mem->fd, 0,
			      NFE_ACCESS_READ | NFE_ACCESS_WRITE, &port->share->key);
	if (ret < 0)
		goto out;
	port->map = nfe_map_insert(none, (uintptr_t)mem->addr, mem->len, port->share->key);
	ret = port->map != NULL ? 0 : -ENOMEM;
out:
	free(none);
	if (ret < 0)
		nfe_share_free(port);
	return ret;
}

void
nfe_share_free(struct nfe_port *port)
{
	free(port->share);
	port->share = NULL;
}

/* Status blocks take their part first: at most a page per channel, so of each queue. */
void
nfe_share_divide(struct nfe_port *port, unsigned int nb_queues)
{
	struct nfe_share *s = port->share;
	uint32_t pages = nb_queues > 0 ? s->nb_pages / nb_queues : 0;

	s->per_queue = (size_t)(pages > 0 ? pages - 1 : 0) * NFE_PAGE_SIZE;
}

size_t
nfe_share_of_queue(const struct nfe_port *port)
{
	return port->share->per_queue;
}

/* First of n free pages side by side; nb_pages: there are none. */
static uint32_t
find_free(const struct nfe_share *s, uint32_t n)
{
	uint32_t run = 0;

	for (uint32_t page = 0; page < s->nb_pages; page++) {
		run = s->used[page] ? 0 : run + 1;
		if (run == n)
			return page - n + 1;
	}
	return s->nb_pages;
}

int
nfe_share_alloc(struct nfe_port *port, const char *what, size_t len, struct nfe_zone *zone)
{
	struct nfe_share *s = port->share;
	uint32_t n = pages_of(len), first = find_free(s, n);

	if (n == 0 || first == s->nb_pages) {
		NFE_LOG(ERR,
			"%s: %s: no room for %zu bytes in the shared area of %u KiB: give more "
			"by " NFE_ARG_SHARE_KIB "=, or use fewer queues or descriptors",
			port->name, what, len, s->nb_pages * NFE_PAGE_SIZE / 1024);
		return -ENOSPC;
	}
	memset(s->used + first, 1, n);
	*zone = (struct nfe_zone){
		.addr = s->base + (size_t)first * NFE_PAGE_SIZE,
		.len = len,
		.key = s->key,
		.offset = (uint64_t)first * NFE_PAGE_SIZE,
	};
	memset(zone->addr, 0, (size_t)n * NFE_PAGE_SIZE); /* rule 15 */
	return 0;
}

void
nfe_share_release(struct nfe_port *port, const struct nfe_zone *zone)
{
	memset(port->share->used + zone->offset / NFE_PAGE_SIZE, 0, pages_of(zone->len));
}
