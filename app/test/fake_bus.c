/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The fake of fake_bus.h. The device reads the host's control memory by its address, being in the
 * same process; doorbell pages belong to the bus and are zeroed at each connect, as the new memfd
 * of a real device would be.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nfe_queue.h>

#include "fake_bus.h"

#define STRIDE NFE_PAGE_SIZE
#define NB_DB (FAKE_CHANNELS + 1)
#define NB_VECTORS (FAKE_CHANNELS + 1)

struct fake_bus {
	struct nfe_bus bus;
	struct fake_device *dev;
	int hup_fd; /* the host's end, -1: not connected */
	int irq_fd[NB_VECTORS];
};

static const struct nfe_bus_ops fake_bus_ops;
static struct fake_device *devices; /* tests run one after the other */

static void
poke(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

static struct fake_bus *
to_fake(struct nfe_bus *bus)
{
	return (struct fake_bus *)(void *)bus;
}

static uint64_t
reg64(const struct fake_device *d, uint32_t lo)
{
	return ((uint64_t)d->regs[lo / 8 + 1] << 32) | d->regs[lo / 8];
}

static void
set_state(struct fake_device *d, enum nfe_state state, uint32_t reason)
{
	d->regs[NFE_REG_STATUS / 8] = (reason << 16) | NFE_STATUS_LINK | (uint32_t)state;
}

static struct nfe_status *
status_block(const struct fake_device *d)
{
	return (struct nfe_status *)(uintptr_t)reg64(d, NFE_REG_BOOT_STATUS_LO);
}

static bool
is_ready(const struct fake_device *d)
{
	return NFE_STATUS_STATE(d->regs[NFE_REG_STATUS / 8]) == NFE_STATE_READY;
}

static uint32_t *
doorbell(struct fake_device *d, uint32_t reg)
{
	return (uint32_t *)(void *)(d->bus->bus.db + reg);
}

static void
command(struct fake_device *d, uint32_t value)
{
	if (value == NFE_CMD_RESET) {
		d->resets++;
		d->regs[NFE_REG_GENERATION / 8]++;
		d->regs[NFE_REG_HOST_ABI / 8] = 0; /* 2.2: what the host wrote */
		d->regs[NFE_REG_ACCEPTED_LO / 8] = d->regs[NFE_REG_ACCEPTED_HI / 8] = 0;
		memset(&d->regs[NFE_REG_BOOT_SQ_LO / 8], 0,
		       sizeof(d->regs) - NFE_REG_BOOT_SQ_LO / 8 * sizeof(d->regs[0]));
		set_state(d, NFE_STATE_RESET, 0);
	} else if (value == NFE_CMD_GO && d->go_fails != 0) {
		set_state(d, NFE_STATE_FAILED, d->go_fails);
	} else if (value == NFE_CMD_GO && d->go_hangs) {
		set_state(d, NFE_STATE_BOOTING, 0);
	} else if (value == NFE_CMD_GO) {
		d->sq_cons = d->regs[NFE_REG_BOOT_SQ_INDEX / 8];
		d->rq_prod = d->regs[NFE_REG_BOOT_RQ_INDEX / 8];
		nfe_idx_publish(&status_block(d)->sq_cons, d->sq_cons);
		nfe_idx_publish(&status_block(d)->rq_prod, d->rq_prod);
		nfe_idx_publish(&status_block(d)->state, NFE_CHAN_RUNNING);
		set_state(d, NFE_STATE_READY, 0);
	}
}

static void
hang_up_locked(struct fake_device *d)
{
	if (d->hup_fd >= 0)
		close(d->hup_fd);
	d->hup_fd = -1;
	d->powered = false;
	set_state(d, NFE_STATE_RESET, 0);
}

static void
send_cell_locked(struct fake_device *d, const void *cell)
{
	uint8_t *rq = (uint8_t *)(uintptr_t)reg64(d, NFE_REG_BOOT_RQ_LO);
	uint32_t mask = (1u << d->regs[NFE_REG_BOOT_SIZE_LOG2 / 8]) - 1;

	nfe_cell_copy(rq + (size_t)(d->rq_prod & mask) * NFE_MSG_SIZE, cell, NFE_MSG_SIZE);
	nfe_idx_publish(&status_block(d)->rq_prod, ++d->rq_prod);
	poke(d->bus->irq_fd[0]);
}

static void
default_answer(const struct nfe_req *req, struct nfe_rsp *rsp)
{
	uint32_t first = req->stats.first;

	if (req->op != NFE_OP_STATS)
		return;
	rsp->stats.first = (uint16_t)first;
	rsp->stats.total = NFE_STAT_MAX;
	for (uint32_t i = first; i < NFE_STAT_MAX && rsp->stats.n < NFE_STATS_PER_RSP; i++)
		rsp->stats.value[rsp->stats.n++] = 1000 + i;
}

static void
serve_one_locked(struct fake_device *d)
{
	const uint8_t *sq = (const uint8_t *)(uintptr_t)reg64(d, NFE_REG_BOOT_SQ_LO);
	uint32_t mask = (1u << d->regs[NFE_REG_BOOT_SIZE_LOG2 / 8]) - 1;
	struct nfe_rsp rsp = { .type = NFE_MSG_RSP };
	enum fake_answer answer = FAKE_ANSWER;
	struct nfe_req req;

	nfe_cell_copy(&req, sq + (size_t)(d->sq_cons & mask) * NFE_MSG_SIZE, NFE_MSG_SIZE);
	nfe_idx_publish(&status_block(d)->sq_cons, ++d->sq_cons);
	if (d->nb_log < FAKE_LOG_MAX)
		d->log[d->nb_log++] = req;
	rsp.id = req.id;
	default_answer(&req, &rsp);
	if (d->script != NULL)
		answer = d->script(d, &req, &rsp);
	if (answer == FAKE_ANSWER)
		send_cell_locked(d, &rsp);
	else if (answer == FAKE_DIE)
		hang_up_locked(d);
}

static void *
device_thread(void *arg)
{
	struct fake_device *d = arg;
	bool stop = false;

	while (!stop) {
		struct pollfd pfd = { .fd = d->kick_fd, .events = POLLIN };
		uint64_t count;

		poll(&pfd, 1, 1000);
		if (read(d->kick_fd, &count, sizeof(count)) < 0)
			continue;
		pthread_mutex_lock(&d->lock);
		while (d->hup_fd >= 0 && is_ready(d) &&
		       nfe_idx_read(doorbell(d, NFE_DB_SQ_PROD)) != d->sq_cons)
			serve_one_locked(d);
		stop = d->stop;
		pthread_mutex_unlock(&d->lock);
	}
	return NULL;
}

static int
fb_create(const char *address, struct nfe_bus **out)
{
	struct fake_device *d;
	struct fake_bus *fb;

	for (d = devices; d != NULL && strcmp(d->name, address) != 0; d = d->next)
		;
	if (d == NULL)
		return -ENOENT;
	fb = calloc(1, sizeof(*fb));
	if (fb == NULL)
		return -ENOMEM;
	fb->dev = d;
	fb->hup_fd = -1;
	fb->bus.ops = &fake_bus_ops;
	fb->bus.db_stride = STRIDE;
	fb->bus.nb_db = NB_DB;
	fb->bus.nb_vectors = NB_VECTORS;
	fb->bus.db = mmap(NULL, (size_t)NB_DB * STRIDE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < NB_VECTORS; i++)
		fb->irq_fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	*out = &fb->bus;
	return 0;
}

static void
fb_disconnect(struct nfe_bus *bus)
{
	struct fake_bus *fb = to_fake(bus);
	struct fake_device *d = fb->dev;

	if (fb->hup_fd < 0)
		return;
	pthread_mutex_lock(&d->lock);
	close(fb->hup_fd);
	fb->hup_fd = -1;
	if (d->hup_fd >= 0)
		close(d->hup_fd);
	d->hup_fd = -1;
	d->bus = NULL;
	d->nb_maps = 0;
	set_state(d, NFE_STATE_RESET, 0);
	pthread_mutex_unlock(&d->lock);
}

static void
fb_destroy(struct nfe_bus *bus)
{
	struct fake_bus *fb = to_fake(bus);

	munmap(bus->db, (size_t)NB_DB * STRIDE);
	for (unsigned int i = 0; i < NB_VECTORS; i++)
		close(fb->irq_fd[i]);
	free(fb);
}

static int
connect_locked(struct fake_bus *fb)
{
	struct fake_device *d = fb->dev;
	int pair[2];

	if (d->connect_error != 0)
		return d->connect_error;
	if (!d->powered)
		return -ECONNREFUSED;
	if (d->hup_fd >= 0)
		return -EBUSY;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	memset(fb->bus.db, 0, (size_t)NB_DB * STRIDE);
	fb->hup_fd = pair[0];
	d->hup_fd = pair[1];
	d->bus = fb;
	d->connects++;
	return 0;
}

static int
fb_connect(struct nfe_bus *bus, unsigned int timeout_ms)
{
	struct fake_bus *fb = to_fake(bus);
	int rc;

	(void)timeout_ms;
	pthread_mutex_lock(&fb->dev->lock);
	rc = connect_locked(fb);
	pthread_mutex_unlock(&fb->dev->lock);
	return rc;
}

static int
fb_hup_fd(struct nfe_bus *bus)
{
	return to_fake(bus)->dev->like_pci ? -1 : to_fake(bus)->hup_fd;
}

static int
fb_reg_read(struct nfe_bus *bus, uint32_t reg, uint32_t *value)
{
	struct fake_device *d = to_fake(bus)->dev;
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	if (d->hup_fd < 0)
		rc = -ENOTCONN;
	else
		*value = d->regs[reg / 8];
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static int
fb_reg_write(struct nfe_bus *bus, uint32_t reg, uint32_t value)
{
	struct fake_device *d = to_fake(bus)->dev;
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	d->writes++;
	if (d->hup_fd < 0)
		rc = -ENOTCONN;
	else if (reg == NFE_REG_COMMAND)
		command(d, value);
	else
		d->regs[reg / 8] = value;
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static int
map_locked(struct fake_device *d, uint64_t iova, uint64_t len)
{
	d->map_calls++;
	if (d->hup_fd < 0)
		return -ENOTCONN;
	if (d->fail_map != 0 && --d->fail_map == 0)
		return -ENOSPC;
	if (d->nb_maps == FAKE_MAPS)
		return -ENOSPC;
	d->map[d->nb_maps].iova = iova;
	d->map[d->nb_maps++].len = len;
	return 0;
}

static int
fb_mem_map(struct nfe_bus *bus, uint64_t iova, void *addr, size_t len, int fd, uint64_t fd_offset)
{
	struct fake_device *d = to_fake(bus)->dev;
	int rc;

	(void)addr;
	(void)fd_offset;
	if (fd < 0 || fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	pthread_mutex_lock(&d->lock);
	rc = map_locked(d, iova, len);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static int
fb_mem_unmap(struct nfe_bus *bus, uint64_t iova, size_t len)
{
	struct fake_device *d = to_fake(bus)->dev;
	unsigned int kept = 0;

	pthread_mutex_lock(&d->lock);
	for (unsigned int i = 0; i < d->nb_maps; i++)
		if (d->map[i].iova < iova || d->map[i].iova >= iova + len)
			d->map[kept++] = d->map[i];
	d->nb_maps = kept;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static int
fb_irq_fd(struct nfe_bus *bus, unsigned int vector)
{
	return vector < NB_VECTORS ? to_fake(bus)->irq_fd[vector] : -1;
}

static void
fb_kick(struct nfe_bus *bus, unsigned int channel)
{
	struct fake_device *d = to_fake(bus)->dev;

	__atomic_add_fetch(&d->kicks[channel], 1, __ATOMIC_RELAXED);
	if (channel == 0)
		poke(d->kick_fd);
}

static int
fb_ring(struct nfe_bus *bus, unsigned int channel)
{
	struct fake_device *d = to_fake(bus)->dev;
	int answer = NFE_TRIGGER_NONE;

	pthread_mutex_lock(&d->lock);
	d->rings++;
	if (d->ring_busy > 0) {
		d->ring_busy--;
		answer = NFE_TRIGGER_BUSY;
	} else if (is_ready(d) && channel == 0) {
		answer = NFE_TRIGGER_ACCEPTED;
		poke(d->kick_fd);
	}
	pthread_mutex_unlock(&d->lock);
	return answer;
}

static const struct nfe_bus_ops fake_bus_ops = {
	.name = "fake",
	.create = fb_create,
	.destroy = fb_destroy,
	.connect = fb_connect,
	.disconnect = fb_disconnect,
	.hup_fd = fb_hup_fd,
	.reg_read = fb_reg_read,
	.reg_write = fb_reg_write,
	.mem_map = fb_mem_map,
	.mem_unmap = fb_mem_unmap,
	.irq_fd = fb_irq_fd,
	.kick = fb_kick,
	.ring = fb_ring,
};

static void
set_limits(uint32_t *regs)
{
	regs[NFE_REG_MAGIC / 8] = NFE_MAGIC;
	regs[NFE_REG_ABI / 8] = NFE_ABI;
	regs[NFE_REG_GENERATION / 8] = 1;
	regs[NFE_REG_FEATURES_LO / 8] = NFE_F_RING_MODE | NFE_F_EVENT_IDX;
	regs[NFE_REG_MAC_LO / 8] = 0x33221102;
	regs[NFE_REG_MAC_HI / 8] = 0x5544;
	regs[NFE_REG_MAX_MTU / 8] = 8986;
	regs[NFE_REG_SPEED_MBPS / 8] = 10000;
	regs[NFE_REG_MAX_CHANNELS / 8] = FAKE_CHANNELS;
	regs[NFE_REG_MAX_REGIONS / 8] = 8;
	regs[NFE_REG_MAX_REG_MIB / 8] = 64;
	regs[NFE_REG_QUEUE_LOG2 / 8] = (12u << 16) | 4;
	regs[NFE_REG_INLINE_MAX / 8] = (124u << 16) | 124;
	regs[NFE_REG_MAX_SEGS / 8] = 8;
	regs[NFE_REG_MAX_FRAME / 8] = 9000;
	regs[NFE_REG_DB_OFFSET / 8] = NFE_DB_OFFSET;
	regs[NFE_REG_DB_STRIDE_LOG2 / 8] = NFE_DB_STRIDE_LOG2;
	regs[NFE_REG_VECTORS / 8] = NB_VECTORS;
}

void
fake_device_init(struct fake_device *d, const char *name)
{
	memset(d, 0, sizeof(*d));
	d->name = name;
	pthread_mutex_init(&d->lock, NULL);
	set_limits(d->regs);
	set_state(d, NFE_STATE_RESET, 0);
	d->hup_fd = -1;
	d->powered = true;
	d->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	nfe_bus_register(&fake_bus_ops);
	d->next = devices;
	devices = d;
	pthread_create(&d->thread, NULL, device_thread, d);
}

void
fake_device_fini(struct fake_device *d)
{
	struct fake_device **p = &devices;

	pthread_mutex_lock(&d->lock);
	d->stop = true;
	pthread_mutex_unlock(&d->lock);
	poke(d->kick_fd);
	pthread_join(d->thread, NULL);
	close(d->kick_fd);
	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	pthread_mutex_destroy(&d->lock);
}

void
fake_device_die(struct fake_device *d)
{
	pthread_mutex_lock(&d->lock);
	hang_up_locked(d);
	pthread_mutex_unlock(&d->lock);
}

void
fake_device_reset(struct fake_device *d, bool status_told)
{
	pthread_mutex_lock(&d->lock);
	if (status_told)
		nfe_idx_publish(&status_block(d)->state, NFE_CHAN_NONE);
	command(d, NFE_CMD_RESET);
	pthread_mutex_unlock(&d->lock);
}

void
fake_device_power_on(struct fake_device *d)
{
	pthread_mutex_lock(&d->lock);
	d->nb_log = d->connects = d->resets = d->writes = d->map_calls = 0;
	for (unsigned int i = 0; i < NB_DB; i++)
		__atomic_store_n(&d->kicks[i], 0, __ATOMIC_RELAXED);
	d->powered = true;
	pthread_mutex_unlock(&d->lock);
}

bool
fake_device_powered(struct fake_device *d)
{
	bool powered;

	pthread_mutex_lock(&d->lock);
	powered = d->powered;
	pthread_mutex_unlock(&d->lock);
	return powered;
}

void
fake_device_inject(struct fake_device *d, const void *cell)
{
	pthread_mutex_lock(&d->lock);
	if (d->hup_fd >= 0 && is_ready(d))
		send_cell_locked(d, cell);
	pthread_mutex_unlock(&d->lock);
}

void
fake_device_set_rq_prod(struct fake_device *d, uint32_t prod)
{
	pthread_mutex_lock(&d->lock);
	nfe_idx_publish(&status_block(d)->rq_prod, prod);
	poke(d->bus->irq_fd[0]);
	pthread_mutex_unlock(&d->lock);
}

unsigned int
fake_device_count(struct fake_device *d, enum nfe_op op)
{
	unsigned int n = 0;

	pthread_mutex_lock(&d->lock);
	for (unsigned int i = 0; i < d->nb_log; i++)
		n += d->log[i].op == op;
	pthread_mutex_unlock(&d->lock);
	return n;
}

uint8_t *
fake_device_doorbells(struct fake_device *d, unsigned int channel)
{
	return d->bus->bus.db + (size_t)channel * STRIDE;
}
