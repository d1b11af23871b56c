/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The Xen bus: "xen:N" is the device N of this domain, /local/domain/ID/device/nfe/N. The front end
 * of doc/xen-protocol.md; nfe_bus_xen_priv.h says what is where. Memory must come from mem_alloc():
 * nothing else can be granted.
 *
 * connect() and disconnect() run with nfeh's lock. At the first connect memory is granted, for
 * good; later ones use the same grants with a new port.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nfe_bus_xen_priv.h"

#define NO_DOMID UINT16_MAX /* not known yet */

int
xb_fail(struct xen_bus *xb, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(xb->bus.why, sizeof(xb->bus.why), format, ap);
	va_end(ap);
	return rc;
}

static int
xb_create(const char *address, struct nfe_bus **out)
{
	struct xen_bus *xb;
	uint32_t number;
	int rc = xenio_parse_u32(address, &number);

	if (rc < 0)
		return rc;
	xb = calloc(1, sizeof(*xb));
	if (xb == NULL)
		return -ENOMEM;
	xb->bus.ops = &nfe_bus_xen;
	xb->number = number;
	xb->port = XENIO_NO_PORT;
	xb->domid = NO_DOMID;
	xb->hup_fd = xb->hup_peer = -1;
	for (unsigned int i = 0; i < XB_MAX_VECTORS; i++)
		xb->irq_fd[i] = -1;
	xb->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (xb->stop_fd < 0) {
		free(xb);
		return -EMFILE;
	}
	pthread_mutex_init(&xb->lock, NULL);
	pthread_cond_init(&xb->changed, NULL);
	*out = &xb->bus;
	return 0;
}

static void
xb_destroy(struct nfe_bus *bus)
{
	struct xen_bus *xb = xb_of(bus);

	xb_pump_stop(xb);
	if (xb->x != NULL) {
		xb_life_close(xb);
		xb_arena_destroy(xb);
		if (xb->evt != NULL && !xb->evt_void)
			xb->x->ops->evt_close(xb->evt);
		xb->x->ops->close(xb->x);
	}
	for (unsigned int i = 0; i < XB_MAX_VECTORS; i++)
		if (xb->irq_fd[i] >= 0)
			close(xb->irq_fd[i]);
	close(xb->stop_fd);
	pthread_cond_destroy(&xb->changed);
	pthread_mutex_destroy(&xb->lock);
	free(xb);
}

int
xb_find_self(struct xen_bus *xb)
{
	char path[XENIO_PATH_MAX + 8];
	int rc = xb->x->ops->domid(xb->x);

	if (rc < 0)
		return xb_fail(xb, rc, "own domain id: %s", strerror(-rc));
	if (rc == xb->domid)
		return 0;
	xb->stale = xb->nb_pieces > 0;
	xb->domid = (uint16_t)rc;
	snprintf(xb->front, sizeof(xb->front), "/local/domain/%u/device/" NFE_XEN_CLASS "/%u",
		 xb->domid, xb->number);
	if (xb->back[0] != '\0') {
		xb_pump_stop(xb); /* it looks at the back end */
		snprintf(path, sizeof(path), "%s/" NFE_XEN_KEY_STATE, xb->back);
		xb->x->ops->unwatch(xb->x, path, XB_WATCH_TOKEN);
		xb->back[0] = '\0';
	}
	return 0;
}

/* Did it happen since that was asked? */
static bool
is_restored(struct xen_bus *xb)
{
	int rc = xb->x->ops->domid(xb->x);

	return rc >= 0 && rc != xb->domid;
}

/* One process at a time: two would take the device from each other for ever. */
static int
claim(struct xen_bus *xb)
{
	char name[32];
	int rc = xb_find_self(xb);

	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), NFE_XEN_CLASS "/%u", xb->number);
	rc = xb->x->ops->claim(xb->x, name);
	return rc < 0 ? xb_fail(xb, rc, "%s is in use by another process", xb->front) : 0;
}

int
xb_open(struct xen_bus *xb)
{
	int rc;

	if (xb->x != NULL)
		return 0;
	rc = xenio_open(&xb->x);
	if (rc < 0) {
		xb->x = NULL;
		return xb_fail(xb, rc, "%s", xenio_open_error(rc));
	}
	rc = claim(xb);
	if (rc == 0)
		rc = xb_find_backend(xb);
	if (rc == 0) {
		rc = xb->x->ops->evt_open(xb->x, &xb->evt);
		if (rc < 0)
			xb_fail(xb, rc, "/dev/xen/evtchn: %s", strerror(-rc));
	}
	if (rc < 0) {
		xb->x->ops->close(xb->x);
		xb->x = NULL;
		xb->back[0] = '\0';
		return rc;
	}
	xb_succeed(xb);
	return 0;
}

/* The bounds that make every later computation safe. */
static int
check_registers(struct xen_bus *xb)
{
	uint32_t channels = xb->reg[NFE_REG_MAX_CHANNELS / 8];
	uint32_t stride_log2 = xb->reg[NFE_REG_DB_STRIDE_LOG2 / 8], max_pages, need;
	int rc = xenio_read_u32(xb->x, xb->back, NFE_XEN_KEY_MAX_PAGES, &max_pages);

	if (rc < 0)
		return xb_fail(xb, -EPROTO, "max-pages of %s: %s", xb->back, strerror(-rc));
	if (channels == 0 || channels > XB_MAX_CHANNELS || stride_log2 != NFE_DB_STRIDE_LOG2)
		return xb_fail(xb, -EPROTO, "%u channels, doorbell stride 2^%u", channels,
			       stride_log2);
	if (xb->bus.db != NULL && channels + 1 > xb->bus.nb_db)
		return xb_fail(xb, -EPROTO, "%u doorbell pages needed, %u are granted", channels + 1,
			       xb->bus.nb_db);
	need = xb->bus.db != NULL ? xb->nr_pages : xb->nr_pages + channels + 1;
	if (need > max_pages)
		return xb_fail(xb, -ENOSPC, "%u pages needed, the back end takes %u (memory-mib)",
			       need, max_pages);
	return 0;
}

/* Data threads write to what would have to be moved, unless they are kept out. */
static int
renew_memory(struct xen_bus *xb)
{
	if (xb->bus.db != NULL && !xb->bus.quiet)
		return xb_fail(xb, -ESTALE, "grants are void since this domain was restored or "
			       "migrated: detach and attach again");
	return xb_arena_renew(xb);
}

/* Once, or anew. The doorbells' address must not change afterwards. */
static int
set_up_memory(struct xen_bus *xb)
{
	uint32_t vectors = xb->reg[NFE_REG_VECTORS / 8];
	int rc = xb->stale ? renew_memory(xb) : 0;

	if (rc < 0)
		return rc;
	if (xb->bus.db != NULL)
		memset(xb->bus.db, 0, (size_t)xb->bus.nb_db * NFE_PAGE_SIZE);
	if (xb->index != NULL)
		return 0;
	rc = xb_arena_complete(xb, xb->reg[NFE_REG_MAX_CHANNELS / 8] + 1);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&xb->lock);
	xb->bus.nb_vectors = vectors < XB_MAX_VECTORS ? vectors : XB_MAX_VECTORS;
	pthread_mutex_unlock(&xb->lock);
	return 0;
}

/* Another handle in place of one that is void. That stays open: Linux has no way to close it. */
static int
renew_events(struct xen_bus *xb)
{
	struct xenio_evt *evt;
	int rc = xb->x->ops->evt_open(xb->x, &evt);

	if (rc < 0)
		return xb_fail(xb, rc, "/dev/xen/evtchn: %s", strerror(-rc));
	xb_pump_stop(xb);
	__atomic_store_n(&xb->evt, evt, __ATOMIC_RELEASE);
	xb->evt_void = false;
	return 0;
}

/*
 * Whoever was here before us said Closed, and a back end that waits may not have seen it yet. Its
 * InitWait is not for us then: it would become Closed while we go on, and go_again() would have to
 * help.
 */
static void
await_closed(struct xen_bus *xb)
{
	uint32_t state;

	if (xenio_read_u32(xb->x, xb->front, NFE_XEN_KEY_STATE, &state) == 0 &&
	    state == NFE_XEN_CLOSED)
		(void)xb_wait_backend(xb, ~XB_STATE(INIT_WAIT), XB_SUCCEED_MS, &state);
}

static int
meet_backend(struct xen_bus *xb, unsigned int timeout_ms)
{
	uint32_t state;
	int rc = xb_find_backend(xb);

	if (rc == 0 && xb->evt_void)
		rc = renew_events(xb);
	if (rc == 0 && !xb->pumping)
		rc = xb_pump_start(xb);
	if (rc == 0 && xb->state != NFE_XEN_INITIALISING) { /* else still: nobody came yet */
		await_closed(xb);
		rc = xb_set_state(xb, NFE_XEN_INITIALISING);
	}
	if (rc < 0)
		return rc;
	xb->state = NFE_XEN_INITIALISING;
	if (xb_wait_backend(xb, XB_STATE(INIT_WAIT), timeout_ms, &state) == 0)
		return 0;
	return xb_fail(xb, -ECONNREFUSED, "%s is in state %u after %u ms: is vif-switch running?",
		       xb->back, state, timeout_ms);
}

static int
bind_channel(struct xen_bus *xb)
{
	int port = xb->x->ops->evt_unbound(xb->evt, xb->backend_id);

	if (port < 0)
		return xb_fail(xb, port, "event channel: %s", strerror(-port));
	__atomic_store_n(&xb->port, port, __ATOMIC_RELEASE);
	return 0;
}

/*
 * In a domain that was restored while the port was bound, its number may be that of another port by
 * now, and Linux 6.1 stops a process that closes one from before (BUG in evtchn_unbind_from_user).
 */
static void
leave_channel(struct xen_bus *xb)
{
	int port = xb->port;

	__atomic_store_n(&xb->port, XENIO_NO_PORT, __ATOMIC_RELEASE);
	if (port != XENIO_NO_PORT && is_restored(xb)) {
		xb->evt_void = true;
		port = XENIO_NO_PORT;
		if (xb->life_port != XENIO_NO_PORT)
			xb->life = NULL; /* it would notify and close the port */
	}
	xb_life_close(xb); /* it may notify the port */
	if (port != XENIO_NO_PORT)
		xb->x->ops->evt_unbind(xb->evt, port);
}

/* Closed says that there is no port any more, too: the toolstack waits for that before it saves. */
static void
xb_disconnect(struct nfe_bus *bus)
{
	struct xen_bus *xb = xb_of(bus);

	if (xb->x == NULL)
		return;
	xb_expect(xb, XB_ANY_STATE, false);
	leave_channel(xb);
	if (xb->state != NFE_XEN_CLOSED)
		xb_set_state(xb, NFE_XEN_CLOSED); /* fails if the device was removed: as well */
	xb->state = NFE_XEN_CLOSED;
	xb_hup_close(xb);
}

static int
xb_connect(struct nfe_bus *bus, unsigned int timeout_ms)
{
	struct xen_bus *xb = xb_of(bus);
	bool again = xb->index != NULL;
	int rc;

	bus->why[0] = '\0';
	xb_expect(xb, XB_ANY_STATE, false);
	rc = xb_open(xb);
	if (rc < 0)
		return rc;
	rc = meet_backend(xb, again ? XB_AGAIN_MS : timeout_ms);
	if (rc == 0)
		rc = xb_read_registers(xb);
	if (rc == 0)
		rc = check_registers(xb);
	if (rc == 0)
		rc = set_up_memory(xb);
	if (rc == 0)
		rc = bind_channel(xb);
	if (rc == 0)
		rc = xb_life_open(xb);
	if (rc == 0)
		rc = xb_hup_open(xb);
	if (rc < 0) {
		if (xb->state != NFE_XEN_INITIALISING || rc != -ECONNREFUSED)
			xb_disconnect(bus); /* else: waiting goes on, at the next connect */
		return rc;
	}
	xb_expect(xb, XB_CONNECTING, false);
	return 0;
}

/* Without claiming the device: the toolstack's word, wherever it put the back end. */
static bool
xb_takes_physical(const char *address, uint64_t *iova_base)
{
	char front[XENIO_PATH_MAX], back[XENIO_PATH_MAX];
	struct xenio *x;
	uint32_t number, value = 0;

	if (xenio_parse_u32(address, &number) < 0 || xenio_open(&x) < 0)
		return false;
	snprintf(front, sizeof(front), "device/" NFE_XEN_CLASS "/%u", number);
	if (xenio_read(x, front, NFE_XEN_KEY_BACKEND, back, sizeof(back)) < 0 ||
	    xenio_read_u32(x, back, NFE_XEN_KEY_FOREIGN, &value) < 0)
		value = 0;
	x->ops->close(x);
	*iova_base = NFE_XEN_FOREIGN_IOVA;
	return value != 0;
}

static int
xb_hup_fd(struct nfe_bus *bus)
{
	return xb_of(bus)->hup_fd;
}

static void
xb_kick(struct nfe_bus *bus, unsigned int channel)
{
	struct xen_bus *xb = xb_of(bus);
	int port = __atomic_load_n(&xb->port, __ATOMIC_ACQUIRE);

	(void)channel; /* one port: the device looks at all our queues */
	if (port != XENIO_NO_PORT)
		xb->x->ops->evt_notify(__atomic_load_n(&xb->evt, __ATOMIC_ACQUIRE), port);
}

const struct nfe_bus_ops nfe_bus_xen = {
	.name = "xen",
	.own_memory = true,
	.takes_physical = xb_takes_physical,
	.answer_ms = XB_ANSWER_MS,
	.create = xb_create,
	.destroy = xb_destroy,
	.connect = xb_connect,
	.disconnect = xb_disconnect,
	.hup_fd = xb_hup_fd,
	.reg_read = xb_reg_read,
	.reg_write = xb_reg_write,
	.mem_alloc = xb_mem_alloc,
	.mem_free = xb_mem_free,
	.mem_map = xb_mem_map,
	.mem_unmap = xb_mem_unmap,
	.irq_fd = xb_irq_fd,
	.kick = xb_kick,
};
