/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL memory as regions of the function (specification 6).
 *
 * Memory that EAL has at probe becomes one region per contiguous area, what it allocates later one
 * region per allocation. The IOVA is the address, but a later life of the same address gets
 * another one, so that it can't meet what is left of the life before. When EAL frees a part of a
 * region, the part leaves our map at once; the region itself goes when nothing of it is left.
 *
 * Memory events come on the thread that allocates or frees, with EAL's heap locked: here only the C
 * library's allocator may be used. While the device is away nothing can be registered; an alarm
 * tries again later.
 *
 * On a bus that takes DMA addresses (port->by_iova: PCI, Xen's foreign mapping) no files are
 * needed, and what EAL puts side by side need not be contiguous for the device: an allocation
 * becomes one region per run of pages that follow each other there (nfe_run.h), and several map
 * entries point into it.
 *
 * EAL closes its file descriptors when it frees a page, but a region of which a part was freed has
 * to be replayed whole when the device dies. So the host end has duplicates of those of a region,
 * and here are some as long as it waits to be registered.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <rte_alarm.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_memzone.h>
#include <rte_mempool.h>

#include "nfe_ethdev.h"
#include "nfe_run.h"

#define NFE_MEM_RETRY_US 100000
#define NFE_MEM_WAIT_MS 2000
#define NFE_MEM_LOOK_MS 10
#define NFE_MEM_LIFE_SHIFT 48u /* above all user addresses */
#define NFE_MEM_LIFE_MASK 0x7fffu

struct nfe_region { /* registered; or not yet: key 0 */
	LIST_ENTRY(nfe_region) next;
	uintptr_t va; /* by IOVA: what it lies in, perhaps with other regions */
	uint64_t len;
	uint64_t iova;
	uint32_t key;
	unsigned int nb_pieces;
	struct nfeh_piece *pieces; /* until registered; fds are ours */
};

struct nfe_mem {
	pthread_mutex_t lock;
	LIST_HEAD(, nfe_region) regions;
	uint32_t life;
	bool retrying; /* an alarm is set */
	char name[32]; /* of the memory event callback */
};

/* Swap the data threads' map; on return nobody can be using the old one (rule 12). Frees map. */
static int
map_replace(struct nfe_port *port, struct nfe_map *map)
{
	struct nfe_map *copy = nfe_arena_put(&port->arena, map);

	free(map);
	if (copy == NULL)
		return -ENOSPC;
	rte_atomic_store_explicit(&port->map, copy, rte_memory_order_release);
	if (nfe_port_quiesce(port) != 0)
		NFE_LOG(WARNING, "%s: a data thread hangs in a burst, it has an old map of memory",
			port->name);
	return 0;
}

static int
map_insert(struct nfe_port *port, uintptr_t va, uint64_t len, uint32_t key, uint64_t offset)
{
	struct nfe_map *map = nfe_map_insert_at(port->map, va, len, key, offset);

	return map != NULL ? map_replace(port, map) : -ENOMEM;
}

static int
map_cut(struct nfe_port *port, uintptr_t va, uint64_t len)
{
	struct nfe_map *map = nfe_map_cut(port->map, va, len);

	return map != NULL ? map_replace(port, map) : -ENOMEM;
}

static void
pieces_free(struct nfe_region *r)
{
	for (unsigned int i = 0; i < r->nb_pieces; i++)
		if (r->pieces[i].fd >= 0)
			close(r->pieces[i].fd);
	free(r->pieces);
	r->pieces = NULL;
	r->nb_pieces = 0;
}

static void
region_free(struct nfe_region *r)
{
	pieces_free(r);
	free(r);
}

static int
pieces_append(struct nfe_region *r, int fd, uint64_t fd_offset, uint64_t len)
{
	struct nfeh_piece *more;

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	more = realloc(r->pieces, (r->nb_pieces + 1) * sizeof(*more));
	if (more == NULL) {
		close(fd);
		return -ENOMEM;
	}
	r->pieces = more;
	more[r->nb_pieces++] = (struct nfeh_piece){ fd, fd_offset, len };
	return 0;
}

/* The files behind a region, page by page; neighbours in one file are one piece. */
static int
pieces_collect(struct nfe_region *r)
{
	uint64_t end = 0; /* offset in last_fd after the last piece */
	int last_fd = -1, ret = 0;

	for (uint64_t done = 0; done < r->len && ret == 0;) {
		struct rte_memseg *ms = rte_mem_virt2memseg((void *)(r->va + done), NULL);
		int fd = ms != NULL ? rte_memseg_get_fd_thread_unsafe(ms) : -1;
		size_t off;

		if (fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(ms, &off) < 0)
			return -EBADF;
		if (fd == last_fd && off == end)
			r->pieces[r->nb_pieces - 1].len += ms->len;
		else
			ret = pieces_append(r, fd, off, ms->len);
		last_fd = fd;
		end = off + ms->len;
		done += ms->len;
	}
	return ret;
}

static int
region_register(struct nfe_port *port, struct nfe_region *r)
{
	int ret;

	if (nfe_port_frozen(port))
		return -ENOLINK; /* don't let the allocating thread wait for a deadline */
	ret = nfeh_region_add_pieces(port->h, (void *)r->va, r->iova, r->pieces, r->nb_pieces,
				     NFE_ACCESS_READ | NFE_ACCESS_WRITE, &r->key);
	if (ret < 0)
		return ret;
	ret = map_insert(port, r->va, r->len, r->key, 0);
	if (ret < 0) {
		nfeh_region_del(port->h, r->key);
		r->key = 0;
		return ret;
	}
	pieces_free(r);
	return 0;
}

static void retry_alarm(void *arg);
static void pending_cut_locked(struct nfe_port *port, const struct nfe_region *r, uintptr_t va,
			       uint64_t len);

static void
retry_later(struct nfe_port *port)
{
	struct nfe_mem *mem = port->mem;

	if (!mem->retrying && rte_eal_alarm_set(NFE_MEM_RETRY_US, retry_alarm, port) == 0)
		mem->retrying = true;
}

static bool
device_is_away(int error)
{
	return error == -ENOLINK || error == -ERESTART;
}

static void
not_registered(const struct nfe_port *port, const struct nfe_region *r, int error)
{
	NFE_LOG(WARNING, "%s: %" PRIu64 " bytes of memory at %#" PRIxPTR " are not registered: %s",
		port->name, r->len, r->va,
		error == -EBADF ? "no file descriptor" : strerror(-error));
	if (error == -ENOSPC && port->by_iova)
		NFE_LOG(WARNING, "%s: hugepages that are scattered need many regions: reserve them "
			"at boot, or let the switch give more", port->name);
	if (r->nb_pieces > 1)
		NFE_LOG(WARNING, "%s: they lie in %u files; --single-file-segments makes it one",
			port->name, r->nb_pieces);
}

/* One run as one region, and each of its parts in the map. */
static int
run_register(struct nfe_port *port, struct nfe_region *r, const struct nfe_part *part,
	     unsigned int n)
{
	int ret = nfeh_region_add_pieces(port->h, (void *)part[0].va, r->iova, r->pieces,
					 r->nb_pieces, NFE_ACCESS_READ | NFE_ACCESS_WRITE, &r->key);
	unsigned int i;

	if (ret < 0)
		return ret;
	for (i = 0; i < n && ret == 0; i++)
		ret = map_insert(port, part[i].va, part[i].len, r->key,
				 part[i].iova - part[0].iova);
	if (ret == 0) {
		pieces_free(r);
		LIST_INSERT_HEAD(&port->mem->regions, r, next);
		return 0;
	}
	while (i-- > 0)
		map_cut(port, part[i].va, part[i].len);
	nfeh_region_del(port->h, r->key);
	return ret;
}

static struct nfe_region *
run_alloc(uintptr_t va, uint64_t len, uint64_t iova, uint64_t bytes)
{
	struct nfe_region *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->pieces = calloc(1, sizeof(*r->pieces));
	if (r->pieces == NULL) {
		free(r);
		return NULL;
	}
	r->pieces[0] = (struct nfeh_piece){ .fd = -1, .len = bytes };
	r->nb_pieces = 1;
	r->va = va;
	r->len = len;
	r->iova = iova;
	return r;
}

/* The whole range or, on an error, those of its runs that could be registered. */
static int
runs_add_locked(struct nfe_port *port, uintptr_t va, uint64_t len)
{
	struct nfe_part *part;
	unsigned int n, run;
	int ret, first_error;

	if (nfe_port_frozen(port))
		return -ENOLINK;
	first_error = nfe_parts_collect(port->map, va, len, &part, &n);
	if (first_error < 0)
		return first_error;
	for (unsigned int i = 0; i < n; i += run) {
		struct nfe_region *r;
		uint64_t bytes;

		run = nfe_parts_run(part + i, n - i, &bytes);
		r = run_alloc(va, len, port->iova_base + part[i].iova, bytes);
		ret = r == NULL ? -ENOMEM : run_register(port, r, part + i, run);
		if (ret == 0)
			continue;
		if (r != NULL)
			region_free(r);
		first_error = first_error < 0 ? first_error : ret;
	}
	free(part);
	return first_error;
}

/* r becomes a region, key != 0; or, by IOVA, was only the name of a range that now has regions. */
static int
range_register_locked(struct nfe_port *port, struct nfe_region *r)
{
	return port->by_iova ? runs_add_locked(port, r->va, r->len) : region_register(port, r);
}

/* Nothing is left of a region but, if it waits for the device, what lies around va .. va + len. A
 * device that is away may get it in its replay: then it stays here, to be taken away later. */
static int
region_remove_locked(struct nfe_port *port, struct nfe_region *r, uintptr_t va, uint64_t len)
{
	int ret = 0;

	if (r->key == 0)
		pending_cut_locked(port, r, va, len);
	else
		ret = nfeh_region_del(port->h, r->key);
	if (ret < 0)
		NFE_LOG(WARNING, "%s: region %#x is freed, but not deregistered: %s", port->name,
			r->key, strerror(-ret));
	if (device_is_away(ret)) {
		retry_later(port);
		return ret;
	}
	LIST_REMOVE(r, next);
	region_free(r);
	return ret;
}

/* EAL's interrupt thread. A read lock keeps EAL from freeing the pages meanwhile. */
static void
retry_alarm(void *arg)
{
	struct nfe_port *port = arg;
	struct nfe_mem *mem = port->mem;
	struct nfe_region *r, *next;
	int ret = 0;

	rte_mcfg_mem_read_lock();
	pthread_mutex_lock(&mem->lock);
	mem->retrying = false;
	for (r = LIST_FIRST(&mem->regions); r != NULL && !device_is_away(ret); r = next) {
		next = LIST_NEXT(r, next);
		if (r->key != 0) {
			if (!nfe_map_has_key(port->map, r->key))
				ret = region_remove_locked(port, r, 0, 0);
			continue;
		}
		ret = range_register_locked(port, r);
		if (device_is_away(ret)) {
			retry_later(port);
			continue;
		}
		if (ret < 0)
			not_registered(port, r, ret);
		if (r->key == 0) {
			LIST_REMOVE(r, next);
			region_free(r);
		}
	}
	pthread_mutex_unlock(&mem->lock);
	rte_mcfg_mem_read_unlock();
}

/* Called with EAL's memory locked against changes. */
static void
mem_add_locked(struct nfe_port *port, uintptr_t va, uint64_t len)
{
	struct nfe_mem *mem = port->mem;
	struct nfe_region *r = calloc(1, sizeof(*r));
	int ret;

	if (r == NULL) {
		NFE_LOG(ERR, "%s: no memory to register %" PRIu64 " bytes", port->name, len);
		return;
	}
	r->va = va;
	r->len = len;
	r->iova = va | (uint64_t)(mem->life & NFE_MEM_LIFE_MASK) << NFE_MEM_LIFE_SHIFT;
	ret = port->by_iova ? 0 : pieces_collect(r);
	if (ret == 0)
		ret = range_register_locked(port, r);
	if (ret < 0 && !device_is_away(ret))
		not_registered(port, r, ret);
	if (r->key != 0 || device_is_away(ret))
		LIST_INSERT_HEAD(&mem->regions, r, next);
	else
		region_free(r);
	if (device_is_away(ret))
		retry_later(port);
}

static void
mem_add(struct nfe_port *port, uintptr_t va, uint64_t len)
{
	pthread_mutex_lock(&port->mem->lock);
	mem_add_locked(port, va, len);
	pthread_mutex_unlock(&port->mem->lock);
}

/* A part of what waits for the device is freed: the rest waits on. */
static void
pending_cut_locked(struct nfe_port *port, const struct nfe_region *r, uintptr_t va, uint64_t len)
{
	if (r->va < va)
		mem_add_locked(port, r->va, va - r->va);
	if (va + len < r->va + r->len)
		mem_add_locked(port, va + len, r->va + r->len - (va + len));
}

static void
mem_remove(struct nfe_port *port, uintptr_t va, uint64_t len)
{
	struct nfe_mem *mem = port->mem;
	struct nfe_region *r, *next;

	pthread_mutex_lock(&mem->lock);
	if (map_cut(port, va, len) < 0)
		NFE_LOG(ERR, "%s: no memory to forget %" PRIu64 " freed bytes at %#" PRIxPTR,
			port->name, len, va);
	for (r = LIST_FIRST(&mem->regions); r != NULL; r = next) {
		next = LIST_NEXT(r, next);
		if (r->va < va + len && va < r->va + r->len &&
		    (r->key == 0 || !nfe_map_has_key(port->map, r->key)))
			region_remove_locked(port, r, va, len);
	}
	pthread_mutex_unlock(&mem->lock);
}

static void
mem_event(enum rte_mem_event type, const void *addr, size_t len, void *arg)
{
	struct nfe_port *port = arg;
	struct rte_memseg_list *msl = rte_mem_virt2memseg_list(addr);

	if (type == RTE_MEM_EVENT_FREE) {
		mem_remove(port, (uintptr_t)addr, len);
		return;
	}
	if (msl == NULL || msl->external)
		return; /* rte_extmem: its pools are refused at queue set-up, by name */
	port->mem->life++;
	mem_add(port, (uintptr_t)addr, len);
}

static int
mem_walk(const struct rte_memseg_list *msl, const struct rte_memseg *ms, size_t len, void *arg)
{
	if (!msl->external)
		mem_add(arg, (uintptr_t)ms->addr, len);
	return 0;
}

static const struct nfe_map none;

int
nfe_mem_start(struct nfe_port *port)
{
	struct nfe_mem *mem;
	int ret;

	if (nfeh_mem(port->h) != NULL)
		return nfe_share_start(port);
	ret = nfe_arena_create(&port->arena);
	if (ret < 0)
		return ret;
	mem = calloc(1, sizeof(*mem));
	if (mem == NULL) {
		nfe_arena_free(&port->arena);
		return -ENOMEM;
	}
	port->map = nfe_arena_put(&port->arena, &none);
	pthread_mutex_init(&mem->lock, NULL);
	LIST_INIT(&mem->regions);
	snprintf(mem->name, sizeof(mem->name), "net_nfe.%u", port->dev->data->port_id);
	port->mem = mem;
	if (rte_eal_has_hugepages() == 0)
		NFE_LOG(NOTICE, "%s: no hugepages: it works, but slower", port->name);

	/* Locked, so that nothing comes or goes between the walk and the first event. */
	rte_mcfg_mem_read_lock();
	if (rte_mem_event_callback_register(mem->name, mem_event, port) != 0 &&
	    rte_errno != ENOTSUP)
		NFE_LOG(WARNING, "%s: no memory events: %s", port->name, rte_strerror(rte_errno));
	rte_memseg_contig_walk_thread_unsafe(mem_walk, port);
	rte_mcfg_mem_read_unlock();
	return 0;
}

void
nfe_mem_stop(struct nfe_port *port)
{
	if (port->mem == NULL)
		return;
	rte_mem_event_callback_unregister(port->mem->name, port);
	rte_eal_alarm_cancel(retry_alarm, port);
}

void
nfe_mem_free(struct nfe_port *port)
{
	struct nfe_mem *mem = port->mem;
	struct nfe_region *r;

	if (port->share != NULL)
		free(port->map);
	nfe_share_free(port);
	nfe_arena_free(&port->arena);
	port->map = NULL;
	if (mem == NULL)
		return;
	while ((r = LIST_FIRST(&mem->regions)) != NULL) {
		LIST_REMOVE(r, next);
		region_free(r);
	}
	pthread_mutex_destroy(&mem->lock);
	free(mem);
	port->mem = NULL;
}

/* Something that the device does not know yet, because it was away? */
static bool
anything_pending_locked(const struct nfe_mem *mem)
{
	const struct nfe_region *r;

	LIST_FOREACH(r, &mem->regions, next)
		if (r->key == 0)
			return true;
	return false;
}

/* What is missing may be registered when the device is back: a call that needs it waits for that,
 * as long as a request of the host end would. False: in vain, or there is nothing to wait for. */
static bool
wait_for_pending(struct nfe_port *port, unsigned int *waited_ms)
{
	bool pending;

	pthread_mutex_lock(&port->mem->lock);
	pending = anything_pending_locked(port->mem);
	pthread_mutex_unlock(&port->mem->lock);
	if (!pending || *waited_ms >= NFE_MEM_WAIT_MS)
		return false;
	rte_delay_us_sleep(NFE_MEM_LOOK_MS * 1000);
	*waited_ms += NFE_MEM_LOOK_MS;
	return true;
}

unsigned int
nfe_mem_flags(const struct nfe_port *port)
{
	return port->by_iova ? RTE_MEMZONE_IOVA_CONTIG : 0;
}

int
nfe_mem_lookup(struct nfe_port *port, const void *addr, uint64_t len, uint32_t *key,
	       uint64_t *offset)
{
	unsigned int waited_ms = 0;
	uint32_t hit = 0;
	bool found;

	do {
		pthread_mutex_lock(&port->mem->lock);
		found = nfe_map_find(port->map, &hit, addr, key, offset) >= len;
		pthread_mutex_unlock(&port->mem->lock);
	} while (!found && wait_for_pending(port, &waited_ms));
	return found ? 0 : -EFAULT;
}

struct pool_check {
	const struct nfe_map *map;
	const void *where; /* first address that is not registered */
};

static void
check_chunk(struct rte_mempool *pool __rte_unused, void *opaque, struct rte_mempool_memhdr *chunk,
	    unsigned int idx __rte_unused)
{
	struct pool_check *check = opaque;
	uint32_t hit = 0, key;
	uint64_t offset, run;

	/* A chunk may lie in several regions side by side. */
	for (uint64_t done = 0; done < chunk->len && check->where == NULL; done += run) {
		const char *addr = (const char *)chunk->addr + done;

		run = nfe_map_find(check->map, &hit, addr, &key, &offset);
		if (run == 0)
			check->where = addr;
	}
}

int
nfe_mem_check_pool(struct nfe_port *port, struct rte_mempool *pool, const void **where)
{
	unsigned int waited_ms = 0;
	struct pool_check check;

	do {
		check.where = NULL;
		pthread_mutex_lock(&port->mem->lock);
		check.map = port->map;
		rte_mempool_mem_iter(pool, check_chunk, &check);
		pthread_mutex_unlock(&port->mem->lock);
	} while (check.where != NULL && wait_for_pending(port, &waited_ms));
	*where = check.where;
	return check.where == NULL ? 0 : -EFAULT;
}
