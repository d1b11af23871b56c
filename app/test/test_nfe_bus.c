/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The vfio-user bus of the host end against a server that lies about itself: ids, doorbell
 * geometry, memory behind it; and against one that offers no kick eventfds. The server has no
 * function behind it, only registers, and runs on a thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nfe_bus.h>
#include <nfe_regs.h>
#include <vfio_user_server.h>

#include "test.h"
#include "test_eventfds.h"

#define CHANNELS 3u
#define BAR0_LEN (8 * NFE_PAGE_SIZE)

struct liar {
	char path[64], address[80];
	struct vfio_user_server *server;
	pthread_t thread;
	uint32_t stop; /* atomic */
	uint32_t regs[NFE_REG_END / 8];
	uint32_t config[64];
	uint64_t mem_len; /* bytes of the memfd behind BAR0 */
	bool sealed;
	bool no_writing; /* sealed against new mappings that write */
	int mem_fd, kick_fd[2];
	struct vfio_user_device_info info;
	uint32_t kicks[CHANNELS + 1]; /* atomic: writes to BAR2 */
	uint32_t maps;
};

static struct liar liar;

static int
on_connected(void *ctx)
{
	struct liar *l = ctx;

	l->mem_fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (l->mem_fd < 0 || ftruncate(l->mem_fd, (off_t)l->mem_len) < 0)
		return -errno;
	if (l->no_writing && fcntl(l->mem_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0)
		return -errno;
	if (l->sealed && fcntl(l->mem_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	return 0;
}

static void
on_disconnected(void *ctx, const char *why)
{
	(void)why;
	close(((struct liar *)ctx)->mem_fd);
}

static int
on_region_fd(void *ctx, unsigned int region)
{
	return region == NFE_BAR_REGS ? ((struct liar *)ctx)->mem_fd : -1;
}

static int
on_kick_fd(void *ctx, unsigned int region, unsigned int i)
{
	(void)region;
	return ((struct liar *)ctx)->kick_fd[i];
}

static int
on_read(void *ctx, unsigned int region, uint64_t offset, void *buf, uint32_t count)
{
	struct liar *l = ctx;

	memset(buf, 0, count);
	if (count != 4)
		return 0;
	if (region == NFE_BAR_REGS && offset < NFE_REG_END)
		memcpy(buf, &l->regs[offset / 8], 4);
	if (region == VFIO_PCI_CONFIG_REGION_INDEX && offset < sizeof(l->config))
		memcpy(buf, &l->config[offset / 4], 4);
	return 0;
}

static int
on_write(void *ctx, unsigned int region, uint64_t offset, const void *buf, uint32_t count)
{
	struct liar *l = ctx;

	(void)buf;
	(void)count;
	if (region == NFE_BAR_TRIGGER && offset / NFE_PAGE_SIZE <= CHANNELS)
		__atomic_add_fetch(&l->kicks[offset / NFE_PAGE_SIZE], 1, __ATOMIC_RELEASE);
	return 0;
}

static int
on_map(void *ctx, uint64_t iova, uint64_t size, uint32_t prot, int fd, uint64_t fd_offset)
{
	(void)iova;
	(void)size;
	(void)prot;
	(void)fd_offset;
	__atomic_add_fetch(&((struct liar *)ctx)->maps, 1, __ATOMIC_RELEASE);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int
on_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	(void)ctx;
	(void)iova;
	(void)size;
	return 0;
}

static void
on_reset(void *ctx)
{
	(void)ctx;
}

static const struct vfio_user_server_ops liar_ops = {
	.connected = on_connected,
	.disconnected = on_disconnected,
	.region_fd = on_region_fd,
	.kick_fd = on_kick_fd,
	.region_read = on_read,
	.region_write = on_write,
	.dma_map = on_map,
	.dma_unmap = on_unmap,
	.reset = on_reset,
};

static void *
liar_thread(void *arg)
{
	struct liar *l = arg;

	while (__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE) == 0) {
		struct pollfd pfd[2] = {
			{ .fd = vfio_user_server_fd(l->server), .events = POLLIN },
			{ .fd = vfio_user_conn_fd(l->server), .events = POLLIN },
		};

		poll(pfd, 2, 10);
		if (pfd[0].revents != 0)
			vfio_user_server_accept(l->server);
		if (pfd[1].revents != 0)
			vfio_user_conn_process(l->server);
	}
	vfio_user_server_destroy(l->server);
	return NULL;
}

/* A truthful device; the test bends it before liar_start(). */
static void
liar_init(struct liar *l)
{
	memset(l, 0, sizeof(*l));
	snprintf(l->path, sizeof(l->path), "/tmp/nfe-test-bus-%d.sock", (int)getpid());
	snprintf(l->address, sizeof(l->address), "vfio-user:%s", l->path);
	l->mem_len = BAR0_LEN;
	l->sealed = true;
	l->kick_fd[0] = eventfd(0, EFD_CLOEXEC);
	l->kick_fd[1] = eventfd(0, EFD_CLOEXEC);
	l->regs[NFE_REG_MAGIC / 8] = NFE_MAGIC;
	l->regs[NFE_REG_MAX_CHANNELS / 8] = CHANNELS;
	l->regs[NFE_REG_DB_OFFSET / 8] = NFE_DB_OFFSET;
	l->regs[NFE_REG_DB_STRIDE_LOG2 / 8] = NFE_DB_STRIDE_LOG2;
	l->regs[NFE_REG_TRIG_STRIDE_LOG2 / 8] = NFE_TRIG_STRIDE_LOG2;
	l->regs[NFE_REG_VECTORS / 8] = CHANNELS + 1;
	l->config[0] = (NFE_PCI_DEVICE << 16) | NFE_PCI_VENDOR;
	l->config[0x2c / 4] = (NFE_PCI_SUBDEVICE << 16) | NFE_PCI_SUBVENDOR;
	l->info.region[NFE_BAR_REGS] = (struct vfio_user_region){
		.size = BAR0_LEN, .read = true, .write = true, .nb_areas = 1,
		.area[0] = { NFE_DB_OFFSET, BAR0_LEN - NFE_DB_OFFSET },
	};
	l->info.region[NFE_BAR_TRIGGER] = (struct vfio_user_region){
		.size = BAR0_LEN, .read = true, .write = true, .nb_kicks = 2,
		.kick[0] = { 0, NFE_PAGE_SIZE },
		.kick[1] = { NFE_PAGE_SIZE, BAR0_LEN - NFE_PAGE_SIZE },
	};
	l->info.region[VFIO_PCI_CONFIG_REGION_INDEX] = (struct vfio_user_region){
		.size = 256, .read = true, .write = true,
	};
	l->info.irq_count[VFIO_PCI_MSIX_IRQ_INDEX] = CHANNELS + 1;
}

static int
liar_start(struct liar *l)
{
	struct vfio_user_server_conf conf = {
		.path = l->path, .mode = 0600, .info = l->info, .ops = &liar_ops, .ctx = l,
	};
	int rc = vfio_user_server_create(&conf, &l->server);

	l->stop = 0;
	return rc < 0 ? rc : -pthread_create(&l->thread, NULL, liar_thread, l);
}

static void
liar_stop(struct liar *l)
{
	__atomic_store_n(&l->stop, 1, __ATOMIC_RELEASE);
	pthread_join(l->thread, NULL);
}

static void
liar_fini(struct liar *l)
{
	liar_stop(l);
	close(l->kick_fd[0]);
	close(l->kick_fd[1]);
}

/* Connects to the liar as it is, leaves again, and gives what connect() said. */
static int
try_connect(struct liar *l, char why[160])
{
	struct nfe_bus *bus;
	int rc = liar_start(l);

	if (rc == 0)
		rc = nfe_bus_create(l->address, &bus);
	if (rc < 0)
		return rc;
	rc = bus->ops->connect(bus, 1000);
	memcpy(why, bus->why, 160);
	bus->ops->disconnect(bus);
	bus->ops->destroy(bus);
	liar_fini(l);
	return rc;
}

static int
other_pci_ids_are_refused(void)
{
	char why[160];

	liar_init(&liar);
	TEST_EQ(try_connect(&liar, why), 0);
	liar_init(&liar);
	liar.config[0] = 0x10418086;
	TEST_EQ(try_connect(&liar, why), -ENODEV);
	TEST_TRUE(strstr(why, "8086:1041") != NULL);
	liar_init(&liar);
	liar.config[0x2c / 4] = 0;
	TEST_EQ(try_connect(&liar, why), -ENODEV);
	liar_init(&liar);
	liar.regs[NFE_REG_MAGIC / 8] = 0;
	TEST_EQ(try_connect(&liar, why), -ENODEV);
	return TEST_OK;
}

static int
doorbell_geometry_is_checked(void)
{
	static const struct {
		uint32_t reg, value;
	} bad[] = {
		{ NFE_REG_DB_STRIDE_LOG2, 11 },
		{ NFE_REG_DB_STRIDE_LOG2, 21 },
		{ NFE_REG_DB_STRIDE_LOG2, UINT32_MAX },
		{ NFE_REG_TRIG_STRIDE_LOG2, 0 },
		{ NFE_REG_TRIG_STRIDE_LOG2, 64 },
		{ NFE_REG_DB_OFFSET, 0 },             /* outside the mappable area */
		{ NFE_REG_DB_OFFSET, 4097 },
		{ NFE_REG_DB_OFFSET, 5 * NFE_PAGE_SIZE }, /* the last page sticks out */
		{ NFE_REG_DB_OFFSET, 0xfffff000 },
		{ NFE_REG_MAX_CHANNELS, 0 },
		{ NFE_REG_MAX_CHANNELS, 7 },
		{ NFE_REG_MAX_CHANNELS, UINT32_MAX },
	};
	char why[160];

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		liar_init(&liar);
		liar.regs[bad[i].reg / 8] = bad[i].value;
		TEST_EQ(try_connect(&liar, why), -EPROTO);
		TEST_TRUE(why[0] != '\0');
	}
	return TEST_OK;
}

static int
doorbell_memory_that_may_vanish_is_refused(void)
{
	char why[160];

	liar_init(&liar);
	liar.mem_len = 2 * NFE_PAGE_SIZE;
	TEST_EQ(try_connect(&liar, why), -EPROTO);
	liar_init(&liar);
	liar.sealed = false;
	TEST_EQ(try_connect(&liar, why), -EPROTO);
	TEST_STR_EQ(why, "doorbell memory is not sealed against shrinking");
	return TEST_OK;
}

static int
connect_liar(struct nfe_bus **bus)
{
	liar_init(&liar);
	TEST_EQ(liar_start(&liar), 0);
	TEST_EQ(nfe_bus_create(liar.address, bus), 0);
	TEST_EQ((*bus)->ops->connect(*bus, 1000), 0);
	return TEST_OK;
}

/* Regression: before Linux 6.7 the old pages were gone then, and the next store to them was fatal. */
static int
doorbells_survive_a_device_that_cannot_be_mapped(void)
{
	struct nfe_bus *bus;
	uint32_t *db;

	TEST_EQ(connect_liar(&bus), TEST_OK);
	db = (uint32_t *)(void *)bus->db;
	db[0] = 7;
	liar_stop(&liar);
	bus->ops->disconnect(bus);
	liar.no_writing = true;
	TEST_EQ(liar_start(&liar), 0);
	TEST_EQ(bus->ops->connect(bus, 1000), -EPERM);
	TEST_TRUE(strstr(bus->why, "doorbells") != NULL);
	TEST_EQ(db[0], 7);
	db[0] = 8;
	liar_stop(&liar);
	liar.no_writing = false;
	TEST_EQ(liar_start(&liar), 0);
	TEST_EQ(bus->ops->connect(bus, 1000), 0);
	TEST_EQ(db[0], 0);
	bus->ops->disconnect(bus);
	bus->ops->destroy(bus);
	liar_fini(&liar);
	return TEST_OK;
}

static int
doorbells_survive_the_device_and_come_back(void)
{
	struct nfe_bus *bus;
	uint32_t *db;

	TEST_EQ(connect_liar(&bus), TEST_OK);
	TEST_EQ(bus->nb_db, CHANNELS + 1);
	TEST_EQ(bus->nb_vectors, CHANNELS + 1);
	db = (uint32_t *)(void *)bus->db;
	db[CHANNELS * NFE_PAGE_SIZE / 4] = 7;
	liar_stop(&liar);
	bus->ops->disconnect(bus);
	db[CHANNELS * NFE_PAGE_SIZE / 4] = 8; /* nobody's page, still there */
	bus->ops->kick(bus, 1);
	liar.regs[NFE_REG_MAX_CHANNELS / 8] = 1; /* the next one has fewer */
	TEST_EQ(liar_start(&liar), 0);
	TEST_EQ(bus->ops->connect(bus, 1000), 0);
	TEST_TRUE(bus->db == (uint8_t *)db);
	TEST_EQ(db[0], 0);
	TEST_EQ(db[CHANNELS * NFE_PAGE_SIZE / 4], 8);
	bus->ops->disconnect(bus);
	bus->ops->destroy(bus);
	liar_fini(&liar);
	return TEST_OK;
}

static int
kicks_go_through_eventfds(void)
{
	struct nfe_bus *bus;
	uint64_t count = 0;

	TEST_EQ(connect_liar(&bus), TEST_OK);
	bus->ops->kick(bus, 1);
	bus->ops->kick(bus, CHANNELS);
	TEST_EQ(read(liar.kick_fd[1], &count, 8), 8);
	TEST_EQ(count, 2);
	bus->ops->kick(bus, 0);
	TEST_EQ(read(liar.kick_fd[0], &count, 8), 8);
	TEST_EQ(count, 1);
	/* A device that never reads its counter must not block us. */
	count = UINT64_MAX - 1;
	TEST_EQ(write(liar.kick_fd[1], &count, 8), 8);
	bus->ops->kick(bus, 1);
	bus->ops->disconnect(bus);
	bus->ops->destroy(bus);
	liar_fini(&liar);
	return TEST_OK;
}

/* One vector: raised, seen, cleared, seen, whatever is in the counter. */
static int
raise_and_clear(struct nfe_bus *bus, unsigned int vector)
{
	struct pollfd pfd = { .fd = bus->ops->irq_fd(bus, vector), .events = POLLIN };

	nfe_bus_irq_clear(bus, vector);
	TEST_EQ(poll(&pfd, 1, 0), 0);
	nfe_bus_irq_clear(bus, vector); /* nothing there: does not wait for it */
	nfe_bus_irq_raise(bus, vector);
	TEST_EQ(poll(&pfd, 1, 0), 1);
	TEST_EQ(poll(&pfd, 1, 0), 1); /* looking is not taking */
	nfe_bus_irq_clear(bus, vector);
	TEST_EQ(poll(&pfd, 1, 0), 0);
	return TEST_OK;
}

static int
blocking_full_or_empty_eventfds_block_neither_kick_nor_interrupt(void)
{
	struct nfe_bus *bus;

	TEST_EQ(connect_liar(&bus), TEST_OK);
	alarm(10); /* ends the program where something blocks */
	for (unsigned int i = 0; i < 6; i++) {
		TEST_EQ(eventfds_spoil_shared(i % 2 == 0), 2 + CHANNELS + 1);
		bus->ops->kick(bus, 0);
		bus->ops->kick(bus, 1);
		for (unsigned int v = 0; v <= CHANNELS; v++)
			TEST_EQ(raise_and_clear(bus, v), TEST_OK);
	}
	nfe_bus_irq_clear(bus, CHANNELS + 1); /* there is none */
	nfe_bus_irq_raise(bus, CHANNELS + 1);
	alarm(0);
	bus->ops->disconnect(bus);
	bus->ops->destroy(bus);
	liar_fini(&liar);
	return TEST_OK;
}

static int
kicks_without_eventfds_are_left_to_the_control_thread(void)
{
	struct pollfd pfd = { .events = POLLIN };
	struct nfe_bus *bus;

	liar_init(&liar);
	liar.info.region[NFE_BAR_TRIGGER].nb_kicks = 0;
	TEST_EQ(liar_start(&liar), 0);
	TEST_EQ(nfe_bus_create(liar.address, &bus), 0);
	TEST_EQ(bus->ops->connect(bus, 1000), 0);
	pfd.fd = bus->ops->deferred_fd(bus);
	TEST_EQ(poll(&pfd, 1, 0), 0);
	bus->ops->kick(bus, 0);
	bus->ops->kick(bus, 2);
	bus->ops->kick(bus, 2);
	TEST_EQ(poll(&pfd, 1, 0), 1);
	TEST_EQ(__atomic_load_n(&liar.kicks[2], __ATOMIC_ACQUIRE), 0);
	bus->ops->deferred(bus);
	TEST_EQ(__atomic_load_n(&liar.kicks[0], __ATOMIC_ACQUIRE), 1);
	TEST_EQ(__atomic_load_n(&liar.kicks[1], __ATOMIC_ACQUIRE), 0);
	TEST_EQ(__atomic_load_n(&liar.kicks[2], __ATOMIC_ACQUIRE), 1);
	TEST_EQ(poll(&pfd, 1, 0), 0);
	bus->ops->disconnect(bus);
	bus->ops->deferred(bus); /* nothing to do, nobody to tell */
	bus->ops->destroy(bus);
	liar_fini(&liar);
	return TEST_OK;
}

static int
memory_needs_a_descriptor(void)
{
	int fd = memfd_create("mem", MFD_CLOEXEC);
	struct nfe_bus *bus;
	void *mem;

	TEST_TRUE(fd >= 0 && ftruncate(fd, 3 * NFE_PAGE_SIZE) == 0);
	mem = mmap(NULL, 3 * NFE_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	liar_init(&liar);
	TEST_EQ(liar_start(&liar), 0);
	TEST_EQ(nfe_bus_create(liar.address, &bus), 0);
	TEST_EQ(bus->ops->mem_map(bus, 0x1000, mem, 8192, fd, 0), -ENOTCONN);
	TEST_EQ(bus->ops->connect(bus, 1000), 0);
	TEST_EQ(bus->ops->mem_map(bus, 0x1000, mem, 8192, -1, 0), -EBADF);
	TEST_EQ(bus->ops->mem_map(bus, 0x1000, mem, 8192, 9999, 0), -EBADF);
	TEST_EQ(liar.maps, 0);
	TEST_EQ(bus->ops->mem_map(bus, 0x1000, mem, 8192, fd, 0), 0);
	TEST_EQ(liar.maps, 1);
	TEST_EQ(lseek(fd, 0, SEEK_HOLE), 8192); /* what was mapped is filled, the rest is not */
	bus->ops->disconnect(bus);
	bus->ops->destroy(bus);
	liar_fini(&liar);
	munmap(mem, 3 * NFE_PAGE_SIZE);
	close(fd);
	return TEST_OK;
}

/* Rules 14, 15: whoever has its descriptor finds nothing in it and cannot take it away. */
static int
memory_for_the_device_is_zeroed_and_sealed(void)
{
	static const struct nfe_bus_ops none = { .name = "none" };
	struct nfe_bus bus = { .ops = &none };
	const size_t len = 16 * NFE_PAGE_SIZE;
	struct nfe_bus_mem mem;

	for (unsigned int i = 0; i < 2; i++) { /* the second time pages may come back */
		TEST_EQ(nfe_bus_mem_alloc(&bus, len, &mem), 0);
		for (size_t k = 0; k < len; k++)
			TEST_EQ(((uint8_t *)mem.addr)[k], 0);
		TEST_EQ(fcntl(mem.fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW),
			F_SEAL_SHRINK | F_SEAL_GROW);
		TEST_EQ(ftruncate(mem.fd, 0), -1);
		memset(mem.addr, 0xa5, len);
		nfe_bus_mem_free(&bus, &mem);
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(other_pci_ids_are_refused),
	TEST_CASE(doorbell_geometry_is_checked),
	TEST_CASE(doorbell_memory_that_may_vanish_is_refused),
	TEST_CASE(doorbells_survive_a_device_that_cannot_be_mapped),
	TEST_CASE(doorbells_survive_the_device_and_come_back),
	TEST_CASE(kicks_go_through_eventfds),
	TEST_CASE(blocking_full_or_empty_eventfds_block_neither_kick_nor_interrupt),
	TEST_CASE(kicks_without_eventfds_are_left_to_the_control_thread),
	TEST_CASE(memory_needs_a_descriptor),
	TEST_CASE(memory_for_the_device_is_zeroed_and_sealed),
};
TEST_SUITE(nfe_bus, cases);
