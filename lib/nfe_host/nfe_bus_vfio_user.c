/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Bus of functions behind a vfio-user socket: "vfio-user:PATH". Called by the host end with its
 * lock; kick() and doorbell stores come from data threads at any time.
 *
 * What data threads hold never changes after the first connect, though every connection brings new
 * objects: doorbell pages are mapped and moved over an address range reserved once (a dead
 * device's pages stay mapped until then, stores to them harm nobody), and kick eventfds are put
 * under the same descriptor numbers by dup3(). The device end is another process and is not
 * trusted: sizes that it gives are compared before they are used.
 *
 * An eventfd that the device has too is its to make blocking, to fill and to empty. So nobody here
 * reads or writes one: the kernel signals it (vfio_user_signal.h), and what clients poll is an
 * epoll set in which it stands edge-triggered. epoll_wait(2) takes the edge out and never blocks.
 *
 *     device ──► event_fd[v] ──► irq_fd[v] ──► poll(2) of control thread or client
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nfe_regs.h>
#include <vfio_user_client.h>
#include <vfio_user_signal.h>

#include "nfe_bus.h"

#define MAX_DOORBELLS 1025u /* control channel and 1024 others; more stay unused */
#define MAX_VECTORS 1025u
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14, newer than some C libraries */
#endif
#define DMA_PROT 3u /* read and write: what a region allows is checked by its key */

#define PCI_VENDOR 0x00u
#define PCI_COMMAND 0x04u
#define PCI_COMMAND_MEMORY_MASTER 0x0006u
#define PCI_SUBVENDOR 0x2cu

enum { KICK_CONTROL, KICK_DATA, NB_KICKS };

struct vu_bus {
	struct nfe_bus bus;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct vfio_user_client *client; /* NULL: not connected */
	size_t db_len;                   /* bytes reserved at bus.db */
	size_t db_shared; /* bytes of them that the device gave last, in db_fd from db_offset */
	uint64_t db_offset;
	int db_fd; /* the client's */
	uint32_t trig_stride_log2;
	/* The first bus.nb_vectors; made at the first connect. */
	int event_fd[MAX_VECTORS]; /* given to every device */
	int irq_fd[MAX_VECTORS];   /* epoll set with it, ours alone */
	/* Numbers stay; behind each is the device's eventfd, or our own if it offers none. */
	int kick_fd[NB_KICKS];
	uint32_t direct[NB_KICKS]; /* atomic: kick_fd reaches the device */
	/* Kicks that need a round trip: channels by bit, and an eventfd for the control thread. */
	uint64_t deferred[(MAX_DOORBELLS + 63) / 64]; /* atomic */
	int deferred_fd;
	int signal_fd; /* a socket that vfio_user_signal() asks for */
};

static struct vu_bus *
to_vu(struct nfe_bus *bus)
{
	return (struct vu_bus *)(void *)bus;
}

static int __attribute__((format(printf, 3, 4)))
fail(struct vu_bus *vu, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(vu->bus.why, sizeof(vu->bus.why), fmt, ap);
	va_end(ap);
	return rc;
}

static void
vu_destroy(struct nfe_bus *bus)
{
	struct vu_bus *vu = to_vu(bus);

	if (bus->db != NULL)
		munmap(bus->db, vu->db_len);
	for (unsigned int i = 0; i < bus->nb_vectors; i++) {
		close(vu->irq_fd[i]);
		close(vu->event_fd[i]);
	}
	for (unsigned int i = 0; i < NB_KICKS; i++)
		if (vu->kick_fd[i] >= 0)
			close(vu->kick_fd[i]);
	if (vu->deferred_fd >= 0)
		close(vu->deferred_fd);
	if (vu->signal_fd >= 0)
		close(vu->signal_fd);
	free(vu);
}

static int
vu_create(const char *path, struct nfe_bus **out)
{
	size_t len = strlen(path);
	struct vu_bus *vu;

	if (len == 0)
		return -EINVAL;
	if (len >= sizeof(vu->path))
		return -ENAMETOOLONG;
	vu = calloc(1, sizeof(*vu));
	if (vu == NULL)
		return -ENOMEM;
	memcpy(vu->path, path, len + 1);
	vu->bus.ops = &nfe_bus_vfio_user;
	vu->deferred_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vu->signal_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (unsigned int i = 0; i < NB_KICKS; i++)
		vu->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vu->deferred_fd < 0 || vu->signal_fd < 0 || vu->kick_fd[KICK_CONTROL] < 0 ||
	    vu->kick_fd[KICK_DATA] < 0) {
		vu_destroy(&vu->bus);
		return -EMFILE;
	}
	*out = &vu->bus;
	return 0;
}

/* 2.1: nothing is written before the ids are known. */
static int
check_ids(struct vu_bus *vu)
{
	const uint32_t id = (NFE_PCI_DEVICE << 16) | NFE_PCI_VENDOR;
	const uint32_t subid = (NFE_PCI_SUBDEVICE << 16) | NFE_PCI_SUBVENDOR;
	uint32_t nb_regions, nb_irqs, flags, got = 0, subgot = 0;
	int rc = vfio_user_client_device_info(vu->client, &flags, &nb_regions, &nb_irqs);

	if (rc < 0)
		return fail(vu, rc, "device info");
	if ((flags & VFIO_DEVICE_FLAGS_PCI) == 0 || nb_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
	    nb_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
		return fail(vu, -ENODEV, "no PCI device: flags 0x%x, %u regions, %u irqs", flags,
			    nb_regions, nb_irqs);
	rc = vfio_user_client_read(vu->client, VFIO_PCI_CONFIG_REGION_INDEX, PCI_VENDOR, &got, 4);
	if (rc == 0)
		rc = vfio_user_client_read(vu->client, VFIO_PCI_CONFIG_REGION_INDEX, PCI_SUBVENDOR,
					   &subgot, 4);
	if (rc < 0)
		return fail(vu, rc, "config space");
	if (got != id || subgot != subid)
		return fail(vu, -ENODEV, "PCI ids %04x:%04x %04x:%04x, expected %04x:%04x %04x:%04x",
			    got & 0xffff, got >> 16, subgot & 0xffff, subgot >> 16, NFE_PCI_VENDOR,
			    NFE_PCI_DEVICE, NFE_PCI_SUBVENDOR, NFE_PCI_SUBDEVICE);
	return 0;
}

static int
vu_reg_read(struct nfe_bus *bus, uint32_t reg, uint32_t *value)
{
	struct vu_bus *vu = to_vu(bus);

	return vu->client == NULL ? -ENOTCONN :
				    vfio_user_client_read(vu->client, NFE_BAR_REGS, reg, value, 4);
}

static int
vu_reg_write(struct nfe_bus *bus, uint32_t reg, uint32_t value)
{
	struct vu_bus *vu = to_vu(bus);

	if (vu->client == NULL)
		return -ENOTCONN;
	return vfio_user_client_write(vu->client, NFE_BAR_REGS, reg, &value, 4);
}

/* The bounds that make every later computation safe. */
static int
check_geometry(struct vu_bus *vu, const struct nfe_bus_geometry *g)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t stride;

	if (g->db_stride_log2 > NFE_BUS_MAX_STRIDE_LOG2 ||
	    g->trig_stride_log2 > NFE_BUS_MAX_STRIDE_LOG2 || g->trig_stride_log2 < 2)
		return fail(vu, -EPROTO, "doorbell stride 2^%u, trigger stride 2^%u, at most 2^%u",
			    g->db_stride_log2, g->trig_stride_log2, NFE_BUS_MAX_STRIDE_LOG2);
	stride = 1u << g->db_stride_log2;
	if (stride < (uint64_t)page || g->db_offset % (uint64_t)page != 0)
		return fail(vu, -EPROTO, "doorbells at 0x%x, stride %llu: host pages have %ld bytes",
			    g->db_offset, (unsigned long long)stride, page);
	if (g->max_channels == 0)
		return fail(vu, -EPROTO, "MAX_CHANNELS 0");
	if (vu->bus.db != NULL && stride != vu->bus.db_stride)
		return fail(vu, -EPROTO, "doorbell stride %llu, was %u",
			    (unsigned long long)stride, vu->bus.db_stride);
	return 0;
}

/* One mappable area must hold all the pages, and its file all the bytes: nobody may cut it off. */
static int
check_area(struct vu_bus *vu, const struct vfio_user_client_region *info, uint64_t offset,
	   uint64_t len)
{
	struct stat st;
	int seals;

	for (unsigned int i = 0;; i++) {
		if (i == info->nb_areas)
			return fail(vu, -EPROTO, "doorbells 0x%llx + 0x%llx are not mappable",
				    (unsigned long long)offset, (unsigned long long)len);
		if (offset >= info->area[i].offset &&
		    offset - info->area[i].offset <= info->area[i].size &&
		    len <= info->area[i].size - (offset - info->area[i].offset))
			break;
	}
	if (info->fd < 0 || fstat(info->fd, &st) < 0 || (uint64_t)st.st_size < offset + len)
		return fail(vu, -EPROTO, "doorbell memory is shorter than its region");
	seals = fcntl(info->fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
		return fail(vu, -EPROTO, "doorbell memory is not sealed against shrinking");
	return 0;
}

/* Data threads store to db meanwhile. So the pages are mapped elsewhere first: mmap() over db takes away
 * what is there also when it fails, which it does if the device seals its memory against writing. */
static int
put_doorbells(uint8_t *db, size_t len, int fd, uint64_t offset)
{
	void *fresh = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	int rc;

	if (fresh == MAP_FAILED)
		return -errno;
	if (mremap(fresh, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, db) != MAP_FAILED)
		return 0;
	rc = -errno;
	munmap(fresh, len);
	return rc;
}

/* A device with fewer pages than before leaves the others as they were; with more, unused. */
static int
map_doorbells(struct vu_bus *vu, const struct nfe_bus_geometry *g)
{
	uint64_t pages = (uint64_t)g->max_channels + 1;
	struct vfio_user_client_region info;
	bool first = vu->bus.db == NULL;
	uint8_t *db = vu->bus.db;
	size_t len;
	int rc = vfio_user_client_region_info(vu->client, NFE_BAR_REGS, &info);

	if (rc < 0)
		return fail(vu, rc, "BAR0 info");
	if (pages > (first ? MAX_DOORBELLS : vu->bus.nb_db))
		pages = first ? MAX_DOORBELLS : vu->bus.nb_db;
	len = (size_t)(pages << g->db_stride_log2);
	rc = check_area(vu, &info, g->db_offset, len);
	if (rc < 0)
		return rc;
	if (first) {
		db = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (db == MAP_FAILED)
			return fail(vu, -ENOMEM, "%zu bytes for doorbells", len);
	}
	rc = put_doorbells(db, len, info.fd, g->db_offset);
	if (rc < 0) {
		if (first)
			munmap(db, len);
		return fail(vu, rc, "mapping %zu bytes of doorbells", len);
	}
	vu->db_shared = len;
	vu->db_offset = g->db_offset;
	vu->db_fd = info.fd;
	if (first) {
		vu->db_len = len;
		vu->bus.db = db;
		vu->bus.db_stride = 1u << g->db_stride_log2;
		vu->bus.nb_db = (unsigned int)pages;
	}
	return 0;
}

static int
make_irq(struct vu_bus *vu, unsigned int vector)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int event_fd, set_fd, rc;

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return -errno;
	set_fd = epoll_create1(EPOLL_CLOEXEC);
	if (set_fd < 0) {
		rc = -errno;
		goto close_event;
	}
	if (epoll_ctl(set_fd, EPOLL_CTL_ADD, event_fd, &ev) < 0) {
		rc = -errno;
		goto close_set;
	}
	vu->event_fd[vector] = event_fd;
	vu->irq_fd[vector] = set_fd;
	return 0;

close_set:
	close(set_fd);
close_event:
	close(event_fd);
	return rc;
}

/* The eventfds are made at the first connect and given to every device. */
static int
set_irqs(struct vu_bus *vu, uint32_t vectors)
{
	bool first = vu->bus.nb_vectors == 0;
	uint32_t count = 0;
	int rc = vfio_user_client_irq_count(vu->client, VFIO_PCI_MSIX_IRQ_INDEX, &count);

	if (rc < 0)
		return fail(vu, rc, "MSI-X info");
	if (count > vectors)
		count = vectors;
	if (count > (first ? MAX_VECTORS : vu->bus.nb_vectors))
		count = first ? MAX_VECTORS : vu->bus.nb_vectors;
	for (uint32_t i = 0; first && i < count; i++) {
		rc = make_irq(vu, i);
		if (rc < 0)
			return fail(vu, rc, "%u interrupts, two descriptors each", count);
		vu->bus.nb_vectors = i + 1;
	}
	rc = vfio_user_client_set_irqs(vu->client, 0, count, vu->event_fd);
	return rc < 0 ? fail(vu, rc, "setting %u interrupts", count) : 0;
}

/* Put the device's eventfd under our number. Non-blocking for a thread without kernel AIO. */
static int
take_kick_fd(struct vu_bus *vu, unsigned int which, uint64_t offset)
{
	int fd = vfio_user_client_kick_fd(vu->client, NFE_BAR_TRIGGER, offset);
	int flags, rc = 0;

	__atomic_store_n(&vu->direct[which], fd >= 0, __ATOMIC_RELEASE);
	if (fd == -ENOTSUP || fd == -EINVAL)
		return 0; /* by REGION_WRITE then, on the control thread */
	if (fd < 0)
		return fail(vu, fd, "kick eventfd");
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    dup3(fd, vu->kick_fd[which], O_CLOEXEC) < 0)
		rc = fail(vu, -errno, "kick eventfd");
	close(fd);
	return rc;
}

static int
set_up(struct vu_bus *vu)
{
	const uint16_t command = PCI_COMMAND_MEMORY_MASTER;
	struct nfe_bus_geometry g = { 0 };
	int rc = check_ids(vu);

	if (rc == 0)
		rc = nfe_bus_read_geometry(&vu->bus, &g);
	if (rc == 0)
		rc = check_geometry(vu, &g);
	if (rc < 0)
		return rc;
	rc = vfio_user_client_write(vu->client, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command,
				    sizeof(command));
	if (rc < 0)
		return fail(vu, rc, "enabling the bus master");
	rc = map_doorbells(vu, &g);
	if (rc == 0)
		rc = set_irqs(vu, g.vectors);
	if (rc == 0)
		rc = take_kick_fd(vu, KICK_CONTROL, NFE_TRIG_KICK);
	if (rc == 0)
		rc = take_kick_fd(vu, KICK_DATA, (1u << g.trig_stride_log2) + NFE_TRIG_KICK);
	vu->trig_stride_log2 = g.trig_stride_log2;
	return rc;
}

static void
vu_disconnect(struct nfe_bus *bus)
{
	struct vu_bus *vu = to_vu(bus);

	if (vu->client != NULL)
		vfio_user_client_close(vu->client);
	vu->client = NULL;
}

static int
vu_connect(struct nfe_bus *bus, unsigned int timeout_ms)
{
	struct vu_bus *vu = to_vu(bus);
	int rc;

	bus->why[0] = '\0';
	rc = vfio_user_client_connect(vu->path, timeout_ms, &vu->client);
	if (rc < 0) {
		vu->client = NULL;
		return rc == -EBUSY ? fail(vu, rc, "another guest is attached") : rc;
	}
	rc = set_up(vu);
	if (rc < 0)
		vu_disconnect(bus);
	return rc;
}

static int
vu_hup_fd(struct nfe_bus *bus)
{
	struct vu_bus *vu = to_vu(bus);

	return vu->client != NULL ? vfio_user_client_fd(vu->client) : -1;
}

/*
 * The device refuses files with holes, since a hole can be filled at its expense (rule 14). On
 * tmpfs a page that was only allocated still counts as one (SEEK_HOLE), so it is read as well:
 * through a mapping of its own, because of the caller's a part may be unmapped by now. Where the
 * memory is not there, a hole stays, and the device says so.
 */
static int
fill_holes(int fd, uint64_t offset, size_t len)
{
	void *p;

	while (fallocate(fd, 0, (off_t)offset, (off_t)len) < 0) {
		if (errno == EINTR)
			continue;
		/* Not every file system can, and EAL opens some files read-only. */
		if (errno == EOPNOTSUPP || errno == EBADF)
			break;
		return -errno;
	}
	p = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);
	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

static int
vu_mem_map(struct nfe_bus *bus, uint64_t iova, void *addr __attribute__((unused)), size_t len,
	   int fd, uint64_t fd_offset)
{
	struct vu_bus *vu = to_vu(bus);
	int rc;

	if (fd < 0 || fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (vu->client == NULL)
		return -ENOTCONN;
	rc = fill_holes(fd, fd_offset, len);
	if (rc < 0)
		return rc;
	return vfio_user_client_dma_map(vu->client, iova, len, DMA_PROT, fd, fd_offset);
}

static int
vu_mem_unmap(struct nfe_bus *bus, uint64_t iova, size_t len)
{
	struct vu_bus *vu = to_vu(bus);

	return vu->client == NULL ? -ENOTCONN : vfio_user_client_dma_unmap(vu->client, iova, len);
}

static int
vu_irq_fd(struct nfe_bus *bus, unsigned int vector)
{
	return vector < bus->nb_vectors ? to_vu(bus)->irq_fd[vector] : -1;
}

static void
vu_irq_clear(struct nfe_bus *bus, unsigned int vector)
{
	struct epoll_event ev;

	if (vector < bus->nb_vectors)
		epoll_wait(to_vu(bus)->irq_fd[vector], &ev, 1, 0);
}

static void
vu_irq_raise(struct nfe_bus *bus, unsigned int vector)
{
	struct vu_bus *vu = to_vu(bus);

	if (vector < bus->nb_vectors)
		vfio_user_signal(vu->event_fd[vector], vu->signal_fd);
}

static void
vu_kick(struct nfe_bus *bus, unsigned int channel)
{
	struct vu_bus *vu = to_vu(bus);
	unsigned int which = channel == 0 ? KICK_CONTROL : KICK_DATA;
	const uint64_t one = 1;

	if (__atomic_load_n(&vu->direct[which], __ATOMIC_ACQUIRE) != 0) {
		vfio_user_signal(vu->kick_fd[which], vu->signal_fd);
		return;
	}
	if (channel >= MAX_DOORBELLS)
		return;
	__atomic_fetch_or(&vu->deferred[channel / 64], UINT64_C(1) << (channel % 64),
			  __ATOMIC_RELEASE);
	if (write(vu->deferred_fd, &one, sizeof(one)) < 0) /* ours alone */
		return; /* EAGAIN: it is set already */
}

static int
vu_deferred_fd(struct nfe_bus *bus)
{
	return to_vu(bus)->deferred_fd;
}

/* The eventfd first: a kick that comes after the look at the bits sets it again. */
static void
vu_deferred(struct nfe_bus *bus)
{
	struct vu_bus *vu = to_vu(bus);
	const uint32_t value = 1;
	uint64_t count;

	if (vu->client == NULL || read(vu->deferred_fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned int i = 0; i < sizeof(vu->deferred) / sizeof(vu->deferred[0]); i++) {
		uint64_t bits = __atomic_exchange_n(&vu->deferred[i], 0, __ATOMIC_ACQUIRE);

		for (; bits != 0; bits &= bits - 1) {
			uint64_t channel = i * 64 + (unsigned int)__builtin_ctzll(bits);

			/* An error shows as a hang-up; a replay kicks all channels anyway. */
			(void)vfio_user_client_write(vu->client, NFE_BAR_TRIGGER,
						     (channel << vu->trig_stride_log2) +
							     NFE_TRIG_KICK,
						     &value, sizeof(value));
		}
	}
}

static int
vu_share(struct nfe_bus *bus, struct nfe_bus_share *share)
{
	struct vu_bus *vu = to_vu(bus);

	if (vu->client == NULL)
		return -ENOTCONN;
	if (vu->direct[KICK_DATA] == 0)
		return -ENOTSUP;
	*share = (struct nfe_bus_share){
		.db_fd = vu->db_fd,
		.db_offset = vu->db_offset,
		.db_len = vu->db_shared,
		.kick_fd = vu->kick_fd[KICK_DATA],
	};
	return 0;
}

const struct nfe_bus_ops nfe_bus_vfio_user = {
	.name = "vfio-user",
	.create = vu_create,
	.destroy = vu_destroy,
	.connect = vu_connect,
	.disconnect = vu_disconnect,
	.hup_fd = vu_hup_fd,
	.reg_read = vu_reg_read,
	.reg_write = vu_reg_write,
	.mem_map = vu_mem_map,
	.mem_unmap = vu_mem_unmap,
	.irq_fd = vu_irq_fd,
	.irq_clear = vu_irq_clear,
	.irq_raise = vu_irq_raise,
	.kick = vu_kick,
	.deferred_fd = vu_deferred_fd,
	.deferred = vu_deferred,
	.share = vu_share,
};
