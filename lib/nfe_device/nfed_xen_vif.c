/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * One VIF of the Xen back end: its function, its event channel, its eventfds. Control thread, but
 * for transport_interrupt(), which any lcore may call while the function is not reset.
 *
 * The event channel is read here and nowhere else, and passed on to the data lcore by an eventfd:
 * whoever reads a notification must also unmask the port, both kicks (control and data) come by
 * the one port, and data lcores want descriptors that need no reading. A lcore that is awake is
 * not notified at all; one that sleeps wakes one hop later.
 *
 * A guest that notifies without end (rule 10) is left masked until the next tick: at most
 * STORM_EVENTS in STORM_MS cost us anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "nfed_xen_internal.h"

#define STORM_MS 10
#define STORM_EVENTS 1000

static void
set_eventfd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one)); /* EAGAIN: it is readable anyway */

	(void)n;
}

static void
transport_interrupt(void *ctx, unsigned int vector)
{
	struct nfed_xen_vif *v = ctx;

	(void)vector; /* one port: the guest looks at all its queues */
	__atomic_fetch_add(&v->counters.interrupts, 1, __ATOMIC_RELAXED);
	v->xen->conf.x->ops->evt_notify(v->evt, __atomic_load_n(&v->port, __ATOMIC_RELAXED));
}

static const struct nfed_transport_ops transport_ops = {
	.map = nfed_xen_transport_map,
	.unmap = nfed_xen_transport_unmap,
	.interrupt = transport_interrupt,
};

static void
serve_control(struct nfed_xen_vif *v)
{
	if (nfed_control_run(v->fn))
		set_eventfd(v->control_kick_fd); /* more waits: others first */
}

static void
on_control_kick(void *arg, uint32_t events)
{
	struct nfed_xen_vif *v = arg;
	uint64_t count;
	ssize_t n = read(v->control_kick_fd, &count, sizeof(count));

	(void)n;
	(void)events;
	serve_control(v);
}

/* One more notification; true: too many, leave the port masked. */
static bool
is_storm(struct nfed_xen_vif *v)
{
	uint64_t now_ms = nfed_now_ms();

	if (now_ms - v->window_ms >= STORM_MS) {
		v->window_ms = now_ms;
		v->window_events = 0;
	}
	return ++v->window_events > STORM_EVENTS;
}

static void
on_event(void *arg, uint32_t events)
{
	struct nfed_xen_vif *v = arg;
	const struct xenio_ops *ops = v->xen->conf.x->ops;
	int port = ops->evt_pending(v->evt);

	(void)events;
	if (port < 0)
		return;
	v->counters.events++;
	/* Unmask before looking: what comes after the look notifies again. */
	if (is_storm(v)) {
		v->counters.storms++;
		v->silenced_port = port;
	} else {
		ops->evt_unmask(v->evt, port);
	}
	if (nfed_xen_state_bury(v))
		return;
	set_eventfd(v->data_kick_fd);
	serve_control(v);
}

void
nfed_xen_unsilence(struct nfed_xen_vif *v)
{
	if (v->silenced_port == XENIO_NO_PORT)
		return;
	v->xen->conf.x->ops->evt_unmask(v->evt, v->silenced_port);
	v->silenced_port = XENIO_NO_PORT;
	set_eventfd(v->data_kick_fd);
	serve_control(v);
}

int
nfed_xen_channel_bind(struct nfed_xen_vif *v, uint32_t remote_port)
{
	int port;

	if (remote_port == 0 || remote_port > INT32_MAX)
		return -ERANGE;
	port = v->xen->conf.x->ops->evt_bind(v->evt, v->domid, remote_port);
	if (port < 0)
		return port;
	__atomic_store_n(&v->port, port, __ATOMIC_RELAXED);
	return 0;
}

void
nfed_xen_channel_unbind(struct nfed_xen_vif *v)
{
	int port = v->port;

	if (port == XENIO_NO_PORT)
		return;
	__atomic_store_n(&v->port, XENIO_NO_PORT, __ATOMIC_RELAXED);
	v->silenced_port = XENIO_NO_PORT;
	v->xen->conf.x->ops->evt_unbind(v->evt, port);
}

static int
create_function(struct nfed_xen_vif *v)
{
	struct nfed_function_conf conf = v->conf.function;

	conf.transport = &transport_ops;
	conf.transport_ctx = v;
	conf.db = NULL; /* until somebody connects */
	return nfed_function_create(&conf, &v->fn);
}

static int
create_parts(struct nfed_xen_vif *v)
{
	struct nfed_loop *loop = v->xen->conf.loop;
	struct xenio *x = v->xen->conf.x;
	int rc;

	v->data_kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->control_kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->data_kick_fd < 0 || v->control_kick_fd < 0)
		return -errno;
	rc = create_function(v);
	if (rc == 0)
		rc = x->ops->evt_open(x, &v->evt);
	if (rc == 0)
		rc = nfed_loop_add(loop, x->ops->evt_fd(v->evt), EPOLLIN, on_event, v);
	if (rc == 0)
		rc = nfed_loop_add(loop, v->control_kick_fd, EPOLLIN, on_control_kick, v);
	return rc;
}

static void
destroy_parts(struct nfed_xen_vif *v)
{
	struct nfed_loop *loop = v->xen->conf.loop;
	struct xenio *x = v->xen->conf.x;

	nfed_function_destroy(v->fn); /* its lcores may interrupt until here */
	nfed_loop_del(loop, v->control_kick_fd);
	if (v->evt != NULL) {
		nfed_loop_del(loop, x->ops->evt_fd(v->evt));
		x->ops->evt_close(v->evt);
	}
	if (v->data_kick_fd >= 0)
		close(v->data_kick_fd);
	if (v->control_kick_fd >= 0)
		close(v->control_kick_fd);
	free(v);
}

int
nfed_xen_vif_create(struct nfed_xen *xen, const struct nfed_xen_vif_conf *conf,
		    struct nfed_xen_vif **out)
{
	struct nfed_xen_vif *v = calloc(1, sizeof(*v));
	uint64_t pages = conf->function.limits.region.max_bytes / NFE_PAGE_SIZE;
	int rc;

	if (v == NULL)
		return -ENOMEM;
	v->xen = xen;
	v->conf = *conf;
	v->max_pages = pages < NFE_XEN_MAX_PAGES ? (uint32_t)pages : NFE_XEN_MAX_PAGES;
	v->port = v->silenced_port = XENIO_NO_PORT;
	v->data_kick_fd = v->control_kick_fd = -1;
	rc = create_parts(v);
	if (rc < 0) {
		destroy_parts(v);
		return rc;
	}
	v->next = xen->vifs;
	xen->vifs = v;
	*out = v;
	nfed_xen_find(xen, v);
	return 0;
}

void
nfed_xen_vif_destroy(struct nfed_xen_vif *v)
{
	struct nfed_xen_vif **p;

	if (v == NULL)
		return;
	v->conf.attached = NULL; /* the owner knows: it is calling */
	if (v->bound) {
		nfed_xen_state_close(v, "attachment removed");
		nfed_xen_unbind(v, "attachment removed");
	}
	for (p = &v->xen->vifs; *p != v; p = &(*p)->next)
		;
	*p = v->next;
	destroy_parts(v);
}

struct nfed_function *
nfed_xen_vif_function(struct nfed_xen_vif *v)
{
	return v->fn;
}

int
nfed_xen_vif_data_kick_fd(const struct nfed_xen_vif *v)
{
	return v->data_kick_fd;
}

bool
nfed_xen_vif_connected(const struct nfed_xen_vif *v)
{
	return v->state == NFE_XEN_CONNECTED;
}

bool
nfed_xen_vif_device(const struct nfed_xen_vif *v, uint16_t *domid, uint32_t *number)
{
	*domid = v->domid;
	*number = v->number;
	return v->bound;
}

uint32_t
nfed_xen_vif_foreign_pages(const struct nfed_xen_vif *v)
{
	return v->foreign_pages;
}

enum nfe_xen_state
nfed_xen_vif_state(const struct nfed_xen_vif *v)
{
	return v->state;
}

const struct nfed_xen_counters *
nfed_xen_vif_counters(const struct nfed_xen_vif *v)
{
	return &v->counters;
}
