/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * vfio-user attachment of one function, see nfed_vfio_user.h: what the protocol server reports is
 * passed on to the function, the DMA table and the config space. Runs in the loop of the control
 * thread; only transport_interrupt() and nfed_vfio_user_attention() may be called from lcores.
 *
 * BAR0: page 0 trapped, doorbell pages in a sealed memfd. A memfd is shared as a whole, so its own
 * page 0 stays zero and unused. A new one per connection: what the last client still maps is
 * nobody's. BAR2: page 0 kicks the control channel, the others kick the data channels. The kick
 * eventfds are new per connection too, and no thread of ours reads or writes them (nfed_kick.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nfed_config.h"
#include "nfed_dma.h"
#include "nfed_kick.h"
#include "nfed_trigger.h"
#include "nfed_vfio_user.h"

enum { KICK_CONTROL, KICK_DATA, NB_KICKS };

struct nfed_vfio_user {
	struct nfed_vfio_user_conf conf;
	struct vfio_user_server *server;
	struct nfed_function *fn;
	struct nfed_dma *dma;
	struct nfed_config config;
	uint64_t bar_size[NFED_CONFIG_BARS];
	int conn_fd; /* in the loop, or -1 */
	struct nfed_kick kick[NB_KICKS];
	int db_fd;        /* memfd of BAR0, or -1 */
	uint8_t *db_base; /* our mapping of it, or NULL */
	uint64_t doorbells_end; /* bytes of BAR0 that are backed */
};

/* Without a share in conf. Maps: with a vIOMMU each 4 KiB page is one; files: a VM has a few, EAL one
 * per hugepage. */
static const struct nfed_dma_limits dma_limits = { .max_maps = 32768, .max_files = 4096 };

static uint64_t
pow2_at_least(uint64_t v)
{
	uint64_t p = NFE_PAGE_SIZE;

	while (p < v)
		p *= 2;
	return p;
}

/* A new memfd for BAR0, sealed before anybody can see it (rule 14). */
static int
doorbells_create(struct nfed_vfio_user *att)
{
	const unsigned int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	uint64_t size = att->bar_size[NFE_BAR_REGS];
	int rc;

	att->db_fd = memfd_create("nfe-bar0", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (att->db_fd < 0)
		return -errno;
	if (ftruncate(att->db_fd, (off_t)size) < 0 || fcntl(att->db_fd, F_ADD_SEALS, seals) < 0)
		goto close_fd;
	att->db_base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, att->db_fd, 0);
	if (att->db_base != MAP_FAILED)
		return 0;
close_fd:
	rc = -errno;
	close(att->db_fd);
	att->db_fd = -1;
	att->db_base = NULL;
	return rc;
}

static void
doorbells_destroy(struct nfed_vfio_user *att)
{
	if (att->db_base == NULL)
		return;
	munmap(att->db_base, att->bar_size[NFE_BAR_REGS]);
	close(att->db_fd);
	att->db_base = NULL;
	att->db_fd = -1;
}

static void
attached(struct nfed_vfio_user *att, bool is, const char *why)
{
	if (att->conf.attached != NULL)
		att->conf.attached(att->conf.function.owner, is, why);
}

static void
kicks_disconnect(struct nfed_vfio_user *att)
{
	for (unsigned int i = 0; i < NB_KICKS; i++)
		nfed_kick_disconnect(&att->kick[i]);
}

static int
kicks_connect(struct nfed_vfio_user *att)
{
	int rc = 0;

	for (unsigned int i = 0; i < NB_KICKS && rc == 0; i++)
		rc = nfed_kick_connect(&att->kick[i]);
	if (rc < 0)
		kicks_disconnect(att);
	return rc;
}

static int
on_connected(void *ctx)
{
	struct nfed_vfio_user *att = ctx;
	int rc = kicks_connect(att);

	if (rc < 0)
		return rc;
	rc = doorbells_create(att);
	if (rc < 0) {
		kicks_disconnect(att);
		return rc;
	}
	nfed_function_set_doorbells(att->fn, att->db_base + NFE_DB_OFFSET);
	nfed_function_set_master(att->fn, false); /* as the config space says */
	attached(att, true, "");
	return 0;
}

static void
on_disconnected(void *ctx, const char *why)
{
	struct nfed_vfio_user *att = ctx;
	bool was = att->db_base != NULL;

	nfed_loop_del(att->conf.loop, att->conn_fd);
	att->conn_fd = -1;
	nfed_function_set_doorbells(att->fn, NULL); /* RESET: nothing of the guest is used now */
	nfed_dma_clear(att->dma);
	nfed_config_reset(&att->config);
	kicks_disconnect(att);
	doorbells_destroy(att);
	if (was)
		attached(att, false, why);
}

static int
on_region_fd(void *ctx, unsigned int region)
{
	const struct nfed_vfio_user *att = ctx;

	return region == NFE_BAR_REGS ? att->db_fd : -1;
}

static int
on_kick_fd(void *ctx, unsigned int region, unsigned int i)
{
	const struct nfed_vfio_user *att = ctx;

	return region == NFE_BAR_TRIGGER && i < NB_KICKS ? att->kick[i].peer_fd : -1;
}

static int
bar0_read(struct nfed_vfio_user *att, uint64_t off, void *buf, uint32_t count)
{
	uint32_t value;

	if (off < NFE_DB_OFFSET || count != 4 || off % 4 != 0 || off >= att->doorbells_end ||
	    att->db_base == NULL) {
		/* Wrong widths are counted by the function; they read as all ones. */
		memset(buf, 0xff, count);
		value = nfed_reg_read(att->fn, off, count);
	} else {
		value = __atomic_load_n((uint32_t *)(void *)(att->db_base + off), __ATOMIC_ACQUIRE);
	}
	memcpy(buf, &value, count < 4 ? count : 4);
	return 0;
}

static int
bar0_write(struct nfed_vfio_user *att, uint64_t off, const void *buf, uint32_t count)
{
	uint32_t value = 0;

	memcpy(&value, buf, count < 4 ? count : 4);
	if (off < NFE_DB_OFFSET || count != 4 || off % 4 != 0 || off >= att->doorbells_end ||
	    att->db_base == NULL)
		nfed_reg_write(att->fn, off, count, value);
	else
		__atomic_store_n((uint32_t *)(void *)(att->db_base + off), value, __ATOMIC_RELEASE);
	return 0;
}

static void
trigger_read(struct nfed_vfio_user *att, uint64_t off, void *buf, uint32_t count)
{
	uint32_t answer = nfed_trigger_read(att->fn, off, count);

	memcpy(buf, &answer, count < 4 ? count : 4);
}

static int
on_region_read(void *ctx, unsigned int region, uint64_t off, void *buf, uint32_t count)
{
	struct nfed_vfio_user *att = ctx;

	if (region == NFE_BAR_REGS)
		return bar0_read(att, off, buf, count);
	memset(buf, 0, count); /* MSI-X table and PBA read as 0 */
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		nfed_config_read(&att->config, off, buf, count);
	else if (region == NFE_BAR_TRIGGER)
		trigger_read(att, off, buf, count);
	return 0;
}

/* The function as after power-on, bus master off. */
static void
reset_all(struct nfed_vfio_user *att)
{
	nfed_function_reset(att->fn);
	nfed_config_reset(&att->config);
	nfed_function_set_master(att->fn, false);
}

static void
config_write(struct nfed_vfio_user *att, uint64_t off, const void *buf, uint32_t count)
{
	unsigned int actions = nfed_config_write(&att->config, off, buf, count);

	if ((actions & NFED_CONFIG_FLR) != 0) {
		reset_all(att);
	} else if ((actions & NFED_CONFIG_MASTER_OFF) != 0) {
		nfed_function_set_master(att->fn, false);
	} else if ((actions & NFED_CONFIG_MASTER_ON) != 0) {
		nfed_function_set_master(att->fn, true);
		nfed_kick_self(&att->kick[KICK_CONTROL]); /* requests and events that waited */
	}
}

static int
on_region_write(void *ctx, unsigned int region, uint64_t off, const void *buf, uint32_t count)
{
	struct nfed_vfio_user *att = ctx;

	if (region == NFE_BAR_REGS)
		return bar0_write(att, off, buf, count);
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		config_write(att, off, buf, count);
	else if (region == NFE_BAR_TRIGGER)
		nfed_trigger_write(att->fn, off);
	return 0;
}

static int
on_dma_map(void *ctx, uint64_t iova, uint64_t size, uint32_t prot, int fd, uint64_t fd_offset)
{
	struct nfed_vfio_user *att = ctx;

	return nfed_dma_add(att->dma, iova, size, prot, fd, fd_offset);
}

static int
on_dma_unmap(void *ctx, uint64_t iova, uint64_t size)
{
	struct nfed_vfio_user *att = ctx;

	nfed_function_unmap(att->fn, iova, size);
	nfed_dma_del(att->dma, iova, size);
	return 0;
}

static void
on_reset(void *ctx)
{
	reset_all(ctx);
}

static const struct vfio_user_server_ops server_ops = {
	.connected = on_connected,
	.disconnected = on_disconnected,
	.region_fd = on_region_fd,
	.kick_fd = on_kick_fd,
	.region_read = on_region_read,
	.region_write = on_region_write,
	.dma_map = on_dma_map,
	.dma_unmap = on_dma_unmap,
	.reset = on_reset,
};

static int
transport_map(void *ctx, uint64_t iova, uint64_t len, uint32_t access, uint32_t *poisoned,
	      unsigned int *nb_mappings, uint8_t **base, void **mapping)
{
	struct nfed_vfio_user *att = ctx;

	return nfed_dma_map(att->dma, iova, len, access, poisoned, nb_mappings, base, mapping);
}

static void
transport_unmap(void *ctx, void *mapping)
{
	struct nfed_vfio_user *att = ctx;

	nfed_dma_unmap(att->dma, mapping);
}

static void
transport_interrupt(void *ctx, unsigned int vector)
{
	struct nfed_vfio_user *att = ctx;

	vfio_user_irq_fire(att->server, vector);
}

static void
transport_kick(void *ctx, unsigned int channel)
{
	struct nfed_vfio_user *att = ctx;

	nfed_kick_self(&att->kick[channel == 0 ? KICK_CONTROL : KICK_DATA]);
}

static void on_conn_ready(void *arg, uint32_t events);

/* The connection came, went or changed: watch the one there is, unless its guest has to wait. */
static void
watch_connection(struct nfed_vfio_user *att)
{
	int fd = nfed_control_rests(att->fn) ? -1 : vfio_user_conn_fd(att->server);

	if (fd == att->conn_fd)
		return;
	nfed_loop_del(att->conf.loop, att->conn_fd);
	att->conn_fd = -1;
	if (fd < 0)
		return;
	if (nfed_loop_add(att->conf.loop, fd, EPOLLIN, on_conn_ready, att) < 0)
		vfio_user_conn_close(att->server, "event loop is out of memory");
	else
		att->conn_fd = fd;
}

static void
on_conn_ready(void *arg, uint32_t events)
{
	struct nfed_vfio_user *att = arg;

	(void)events;
	if (nfed_control_enter(att->fn)) {
		if (vfio_user_conn_process(att->server) < 0 && att->conn_fd >= 0) {
			nfed_loop_del(att->conf.loop, att->conn_fd); /* it died before it negotiated */
			att->conn_fd = -1;
		}
		nfed_control_leave(att->fn);
	}
	watch_connection(att);
}

static void
on_listen_ready(void *arg, uint32_t events)
{
	struct nfed_vfio_user *att = arg;

	(void)events;
	nfed_control_enter(att->fn); /* in any case; what the new client says may have to wait */
	vfio_user_server_accept(att->server); /* a failed accept is the client's loss */
	nfed_control_leave(att->fn);
	watch_connection(att);
}

static void
transport_rested(void *ctx)
{
	struct nfed_vfio_user *att = ctx;

	watch_connection(att);
	nfed_kick_self(&att->kick[KICK_CONTROL]); /* requests that waited; their kick is gone */
}

static const struct nfed_transport_ops transport_ops = {
	.map = transport_map,
	.unmap = transport_unmap,
	.interrupt = transport_interrupt,
	.kick = transport_kick,
	.rested = transport_rested,
};

static void
on_control_kick(void *arg, uint32_t events)
{
	struct nfed_vfio_user *att = arg;

	(void)events;
	if (nfed_control_run(att->fn))
		nfed_kick_self(&att->kick[KICK_CONTROL]); /* more waits: others first */
}

static void
describe(const struct nfed_vfio_user *att, struct vfio_user_device_info *info)
{
	uint64_t pages = att->conf.function.limits.max_channels + 1u;
	struct vfio_user_region *r = info->region;

	memset(info, 0, sizeof(*info));
	r[NFE_BAR_REGS] = (struct vfio_user_region){
		.size = att->bar_size[NFE_BAR_REGS], .read = true, .write = true, .nb_areas = 1,
		.area[0] = { NFE_DB_OFFSET, pages * NFE_PAGE_SIZE },
	};
	r[NFE_BAR_TRIGGER] = (struct vfio_user_region){
		.size = att->bar_size[NFE_BAR_TRIGGER], .read = true, .write = true,
		.nb_kicks = NB_KICKS,
		.kick[KICK_CONTROL] = { 0, NFE_PAGE_SIZE },
		.kick[KICK_DATA] = { NFE_PAGE_SIZE, (pages - 1) * NFE_PAGE_SIZE },
	};
	r[NFE_BAR_MSIX] = (struct vfio_user_region){
		.size = att->bar_size[NFE_BAR_MSIX], .read = true, .write = true,
	};
	r[VFIO_PCI_CONFIG_REGION_INDEX] = (struct vfio_user_region){
		.size = NFED_CONFIG_SIZE, .read = true, .write = true,
	};
	info->irq_count[VFIO_PCI_MSIX_IRQ_INDEX] = (uint32_t)pages;
	info->irq_count[VFIO_PCI_ERR_IRQ_INDEX] = 1; /* QEMU asks; we never raise it */
}

static int
create_kicks(struct nfed_vfio_user *att)
{
	int rc = 0;

	for (unsigned int i = 0; i < NB_KICKS && rc == 0; i++)
		rc = nfed_kick_create(&att->kick[i]);
	return rc;
}

static int
create_function(struct nfed_vfio_user *att)
{
	struct nfed_function_conf conf = att->conf.function;

	conf.transport = &transport_ops;
	conf.transport_ctx = att;
	conf.db = NULL; /* until somebody connects */
	return nfed_function_create(&conf, &att->fn);
}

static void
close_memory(void *ctx, int fd)
{
	struct nfed_vfio_user *att = ctx;

	vfio_user_server_close_memory(att->server, fd);
}

static int
create_server(struct nfed_vfio_user *att)
{
	struct vfio_user_server_conf conf = {
		.path = att->conf.path, .mode = att->conf.mode, .ops = &server_ops, .ctx = att,
	};

	describe(att, &conf.info);
	nfed_dma_set_close(att->dma, close_memory, att); /* the server outlives all maps */
	return vfio_user_server_create(&conf, &att->server);
}

static int
create_parts(struct nfed_vfio_user *att)
{
	struct nfed_loop *loop = att->conf.loop;
	int rc;

	att->dma = nfed_dma_create(att->conf.dma.max_maps != 0 ? &att->conf.dma : &dma_limits);
	if (att->dma == NULL)
		return -ENOMEM;
	rc = create_kicks(att);
	if (rc == 0)
		rc = create_function(att);
	if (rc == 0)
		rc = create_server(att);
	if (rc == 0)
		rc = nfed_loop_add(loop, vfio_user_server_fd(att->server), EPOLLIN, on_listen_ready,
				   att);
	if (rc == 0)
		rc = nfed_loop_add(loop, att->kick[KICK_CONTROL].set_fd, EPOLLIN | EPOLLET,
				   on_control_kick, att);
	return rc;
}

int
nfed_vfio_user_create(const struct nfed_vfio_user_conf *conf, struct nfed_vfio_user **out)
{
	uint64_t pages = conf->function.limits.max_channels + 1u;
	struct nfed_vfio_user *att = calloc(1, sizeof(*att));
	int rc;

	if (att == NULL)
		return -ENOMEM;
	att->conf = *conf;
	att->conn_fd = att->db_fd = -1;
	for (unsigned int i = 0; i < NB_KICKS; i++)
		att->kick[i] = (struct nfed_kick)NFED_KICK_NONE;
	att->doorbells_end = NFE_DB_OFFSET + pages * NFE_PAGE_SIZE;
	att->bar_size[NFE_BAR_REGS] = pow2_at_least(att->doorbells_end);
	att->bar_size[NFE_BAR_TRIGGER] = pow2_at_least(pages * NFE_PAGE_SIZE);
	att->bar_size[NFE_BAR_MSIX] = NFE_PAGE_SIZE;
	nfed_config_init(&att->config, att->bar_size, conf->no_msix ? 0 : (unsigned int)pages);
	rc = create_parts(att);
	if (rc < 0) {
		nfed_vfio_user_destroy(att); /* knows how to end a half-made one */
		return rc;
	}
	*out = att;
	return 0;
}

void
nfed_vfio_user_destroy(struct nfed_vfio_user *att)
{
	if (att == NULL)
		return;
	att->conf.attached = NULL; /* the owner knows: it is calling */
	if (att->server != NULL) {
		nfed_loop_del(att->conf.loop, vfio_user_server_fd(att->server));
		vfio_user_conn_close(att->server, "attachment removed");
	}
	nfed_function_destroy(att->fn); /* its lcores may fire interrupts until here */
	if (att->server != NULL)
		vfio_user_server_destroy(att->server);
	nfed_dma_destroy(att->dma);
	doorbells_destroy(att);
	nfed_loop_del(att->conf.loop, att->kick[KICK_CONTROL].set_fd);
	for (unsigned int i = 0; i < NB_KICKS; i++)
		nfed_kick_destroy(&att->kick[i]);
	free(att);
}

void
nfed_vfio_user_attention(struct nfed_vfio_user *att)
{
	nfed_kick_self(&att->kick[KICK_CONTROL]);
}

struct nfed_function *
nfed_vfio_user_function(struct nfed_vfio_user *att)
{
	return att->fn;
}

int
nfed_vfio_user_data_kick_fd(const struct nfed_vfio_user *att)
{
	return att->kick[KICK_DATA].set_fd;
}

bool
nfed_vfio_user_connected(const struct nfed_vfio_user *att)
{
	return att->db_base != NULL;
}

void
nfed_vfio_user_server_stats(const struct nfed_vfio_user *att, struct vfio_user_server_stats *stats)
{
	vfio_user_server_stats(att->server, stats);
}
