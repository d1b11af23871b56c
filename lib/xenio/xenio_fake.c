/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The fake's world: domains, handles, event channels. See xenio_fake.h. An event channel handle
 * has an eventfd that counts its ports that wait; a port is silent until it is unmasked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "xenio_fake_priv.h"

#define FIRST_REF 8u /* Xen keeps the first ones for itself */

int
fake_ordered_locked(struct xenio_fake *w, enum xenio_fake_call call)
{
	return w->fail_in[call] > 0 && --w->fail_in[call] == 0 ? w->fail_with[call] : 0;
}

struct fake_domain *
fake_domain_locked(struct xenio_fake *w, uint16_t domid)
{
	struct fake_domain *d = w->domains;

	while (d != NULL && d->domid != domid)
		d = d->next;
	return d;
}

struct fake_port *
fake_port_locked(struct xenio_fake *w, uint16_t domid, int number)
{
	struct fake_port *p = w->ports;

	while (p != NULL && (p->domid != domid || p->number != number))
		p = p->next;
	return p;
}

/* Make a port readable, or remember it while it is silent. */
static void
raise_locked(struct fake_port *p)
{
	uint64_t one = 1;

	if (p->masked) {
		p->pending = true;
		return;
	}
	p->masked = p->queued = true;
	if (write(p->evt->fd, &one, sizeof(one)) < 0)
		return; /* readable anyway */
}

void
fake_notify_locked(struct xenio_fake *w, struct fake_port *port)
{
	w->notifies++;
	if (port->peer != NULL)
		raise_locked(port->peer);
}

static int
evt_open(struct xenio *x, struct xenio_evt **out)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_evt *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (e->fd < 0) {
		free(e);
		return -EMFILE;
	}
	e->evt.x = x;
	e->h = h;
	pthread_mutex_lock(&h->w->lock);
	e->next = h->w->evts;
	h->w->evts = e;
	pthread_mutex_unlock(&h->w->lock);
	*out = &e->evt;
	return 0;
}

static struct fake_evt *
evt_of(struct xenio_evt *evt)
{
	return (struct fake_evt *)(void *)evt;
}

static void
close_port_locked(struct fake_port **at)
{
	struct fake_port *p = *at;
	uint64_t count;

	*at = p->next;
	if (p->peer != NULL)
		p->peer->peer = NULL; /* the other end may be bound again */
	if (p->queued && read(p->evt->fd, &count, sizeof(count)) < 0)
		count = 0;
	free(p);
}

static void
evt_close_locked(struct fake_evt *e)
{
	struct xenio_fake *w = e->h->w;
	struct fake_port **p = &w->ports;
	struct fake_evt **at = &w->evts;

	while (*p != NULL) {
		if ((*p)->evt == e)
			close_port_locked(p);
		else
			p = &(*p)->next;
	}
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	close(e->fd);
	free(e);
}

static void
evt_close(struct xenio_evt *evt)
{
	struct fake_evt *e = evt_of(evt);
	struct xenio_fake *w = e->h->w;

	pthread_mutex_lock(&w->lock);
	w->oopses += e->is_void;
	evt_close_locked(e);
	pthread_mutex_unlock(&w->lock);
}

static int
evt_fd(struct xenio_evt *evt)
{
	return evt_of(evt)->fd;
}

static int
new_port_locked(struct fake_evt *e, uint16_t remote, struct fake_port **out)
{
	struct xenio_fake *w = e->h->w;
	int rc = fake_ordered_locked(w, XENIO_FAKE_BIND);
	struct fake_port *p;

	if (rc < 0)
		return rc;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->evt = e;
	p->number = w->next_port++;
	p->domid = e->h->domid;
	p->remote = remote;
	p->next = w->ports;
	w->ports = p;
	*out = p;
	return p->number;
}

static int
evt_unbound(struct xenio_evt *evt, uint16_t domid)
{
	struct fake_evt *e = evt_of(evt);
	struct fake_port *p;
	int rc;

	pthread_mutex_lock(&e->h->w->lock);
	rc = new_port_locked(e, domid, &p);
	pthread_mutex_unlock(&e->h->w->lock);
	return rc;
}

static int
evt_bind(struct xenio_evt *evt, uint16_t domid, uint32_t remote_port)
{
	struct fake_evt *e = evt_of(evt);
	struct xenio_fake *w = e->h->w;
	struct fake_port *p, *peer;
	int rc = -EINVAL;

	pthread_mutex_lock(&w->lock);
	peer = remote_port <= INT32_MAX ? fake_port_locked(w, domid, (int)remote_port) : NULL;
	if (peer != NULL && peer->peer == NULL && peer->remote == e->h->domid)
		rc = new_port_locked(e, domid, &p);
	if (rc >= 0) {
		p->peer = peer;
		peer->peer = p;
		raise_locked(p); /* as Xen: something may have been missed */
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static struct fake_port **
own_port_locked(struct fake_evt *e, int number)
{
	struct fake_port **p = &e->h->w->ports;

	while (*p != NULL && ((*p)->evt != e || (*p)->number != number))
		p = &(*p)->next;
	return p;
}

static void
evt_unbind(struct xenio_evt *evt, int port)
{
	struct fake_evt *e = evt_of(evt);
	struct fake_port **p;

	pthread_mutex_lock(&e->h->w->lock);
	e->h->w->oopses += e->is_void;
	p = own_port_locked(e, port);
	if (*p != NULL)
		close_port_locked(p);
	pthread_mutex_unlock(&e->h->w->lock);
}

static int
evt_notify(struct xenio_evt *evt, int port)
{
	struct fake_evt *e = evt_of(evt);
	struct fake_port *p;

	pthread_mutex_lock(&e->h->w->lock);
	p = *own_port_locked(e, port);
	if (p != NULL)
		fake_notify_locked(e->h->w, p);
	pthread_mutex_unlock(&e->h->w->lock);
	return p != NULL ? 0 : -ENOTCONN;
}

static int
evt_pending(struct xenio_evt *evt)
{
	struct fake_evt *e = evt_of(evt);
	struct fake_port *p;
	uint64_t count;
	int rc = -EAGAIN;

	pthread_mutex_lock(&e->h->w->lock);
	for (p = e->h->w->ports; p != NULL; p = p->next)
		if (p->evt == e && p->queued)
			break;
	if (p != NULL) {
		p->queued = false;
		rc = p->number;
		if (read(e->fd, &count, sizeof(count)) < 0)
			count = 0;
	}
	pthread_mutex_unlock(&e->h->w->lock);
	return rc;
}

static int
evt_unmask(struct xenio_evt *evt, int port)
{
	struct fake_evt *e = evt_of(evt);
	struct fake_port *p;

	pthread_mutex_lock(&e->h->w->lock);
	p = *own_port_locked(e, port);
	if (p != NULL && p->masked && !p->queued) {
		p->masked = false;
		if (p->pending) {
			p->pending = false;
			raise_locked(p);
		}
	}
	pthread_mutex_unlock(&e->h->w->lock);
	return p != NULL ? 0 : -ENOTCONN;
}

static int
fake_domid(struct xenio *x)
{
	return fake_handle_of(x)->domid;
}

static int
fake_claim(struct xenio *x, const char *name)
{
	struct fake_handle *h = fake_handle_of(x);
	int rc = h->claimed == NULL ? 0 : -EBUSY;

	pthread_mutex_lock(&h->w->lock);
	for (const struct fake_handle *o = h->w->handles; o != NULL; o = o->next)
		if (o->domid == h->domid && o->claimed != NULL && strcmp(o->claimed, name) == 0)
			rc = -EBUSY;
	if (rc == 0)
		h->claimed = strdup(name);
	pthread_mutex_unlock(&h->w->lock);
	return rc;
}

static int
fake_domain_info(struct xenio *x, uint16_t domid, struct xenio_domain *info)
{
	struct fake_handle *h = fake_handle_of(x);
	const struct fake_domain *d;

	pthread_mutex_lock(&h->w->lock);
	d = fake_domain_locked(h->w, domid);
	if (d != NULL && (!d->dying || fake_mapped_of_locked(h->w, domid) > 0)) {
		*info = (struct xenio_domain){ .domid = domid, .dying = d->dying,
					       .shutdown = d->shutdown, .crashed = d->shutdown,
					       .hvm = d->page != NULL };
	} else {
		d = NULL; /* nothing keeps a dying one any more */
	}
	pthread_mutex_unlock(&h->w->lock);
	return d != NULL ? 0 : -ENOENT;
}

/* As the kernel does at the end of a process: mappings first, so that their ports still work. */
static void
fake_close(struct xenio *x)
{
	struct fake_handle *h = fake_handle_of(x), **p = &h->w->handles;
	struct xenio_fake *w = h->w;
	struct fake_evt *e, *next;

	pthread_mutex_lock(&w->lock);
	fake_grants_forget_locked(h);
	for (e = w->evts; e != NULL; e = next) {
		next = e->next;
		if (e->h == h)
			evt_close_locked(e);
	}
	fake_store_forget_locked(h);
	while (*p != h)
		p = &(*p)->next;
	*p = h->next;
	pthread_mutex_unlock(&w->lock);
	close(h->watch_fd);
	free(h->claimed);
	free(h);
}

static const struct xenio_ops fake_ops = {
	.name = "fake",
	.close = fake_close,
	.domid = fake_domid,
	.claim = fake_claim,
	.read = fake_read,
	.write = fake_write,
	.mkdir = fake_mkdir,
	.rm = fake_rm,
	.list = fake_list,
	.set_perms = fake_set_perms,
	.tx_start = fake_tx_start,
	.tx_end = fake_tx_end,
	.watch = fake_watch,
	.unwatch = fake_unwatch,
	.watch_fd = fake_watch_fd,
	.watch_next = fake_watch_next,
	.domain_info = fake_domain_info,
	.share = fake_share,
	.unshare = fake_unshare,
	.reshare = fake_reshare,
	.share_notify = fake_share_notify,
	.map = fake_map,
	.map_notify = fake_map_notify,
	.unmap = fake_unmap,
	.foreign_map = fake_foreign_map,
	.foreign_unmap = fake_unmap,
	.evt_open = evt_open,
	.evt_close = evt_close,
	.evt_fd = evt_fd,
	.evt_unbound = evt_unbound,
	.evt_bind = evt_bind,
	.evt_unbind = evt_unbind,
	.evt_notify = evt_notify,
	.evt_pending = evt_pending,
	.evt_unmask = evt_unmask,
};

int
xenio_fake_open(struct xenio_fake *w, uint16_t domid, struct xenio **x)
{
	struct fake_handle *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	h->x.ops = &fake_ops;
	h->w = w;
	h->domid = domid;
	h->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (h->watch_fd < 0) {
		free(h);
		return -EMFILE;
	}
	pthread_mutex_lock(&w->lock);
	h->next = w->handles;
	w->handles = h;
	pthread_mutex_unlock(&w->lock);
	*x = &h->x;
	return 0;
}

static void
set_muted(struct xenio *x, bool muted)
{
	struct fake_handle *h = fake_handle_of(x);

	pthread_mutex_lock(&h->w->lock);
	h->muted = muted;
	pthread_mutex_unlock(&h->w->lock);
}

void
xenio_fake_mute(struct xenio *x)
{
	set_muted(x, true);
}

void
xenio_fake_unmute(struct xenio *x)
{
	set_muted(x, false);
}

void
xenio_fake_add_domain(struct xenio_fake *w, uint16_t domid)
{
	struct fake_domain *d = calloc(1, sizeof(*d));
	struct xenio_perm perm = { .domid = domid };
	struct xenio *x;
	char path[XENIO_PATH_MAX];

	if (d == NULL)
		abort(); /* no memory: no test */
	d->domid = domid;
	pthread_mutex_lock(&w->lock);
	d->next = w->domains;
	w->domains = d;
	pthread_mutex_unlock(&w->lock);
	if (xenio_fake_open(w, 0, &x) < 0)
		abort();
	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	x->ops->mkdir(x, XENIO_NO_TX, path);
	perm.read = domid == 0; /* as the toolstack does: dom0's can be seen by all */
	x->ops->set_perms(x, XENIO_NO_TX, path, &perm, 1);
	x->ops->close(x);
}

void
xenio_fake_memory(struct xenio_fake *w, uint16_t domid, xenio_fake_page_fn page, void *arg)
{
	struct fake_domain *d;

	pthread_mutex_lock(&w->lock);
	d = fake_domain_locked(w, domid);
	if (d != NULL) {
		d->page = page;
		d->page_arg = arg;
	}
	pthread_mutex_unlock(&w->lock);
}

/* Its ports end, and with them what others hear from it. */
static void
close_ports_locked(struct xenio_fake *w, uint16_t domid)
{
	struct fake_port **p = &w->ports;

	while (*p != NULL) {
		if ((*p)->domid == domid)
			close_port_locked(p);
		else
			p = &(*p)->next;
	}
}

void
xenio_fake_destroy_domain(struct xenio_fake *w, uint16_t domid)
{
	struct fake_domain *d;
	char path[XENIO_PATH_MAX];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	pthread_mutex_lock(&w->lock);
	d = fake_domain_locked(w, domid);
	if (d != NULL)
		d->dying = true;
	close_ports_locked(w, domid);
	fake_remove_tree_locked(w, path);
	fake_fire_locked(w, "@releaseDomain", true);
	pthread_mutex_unlock(&w->lock);
}

/* Linux cannot forget a port that it had before (evtchn_unbind_from_user): whoever closes it brings
 * down its process. */
static void
void_ports_locked(struct xenio_fake *w, uint16_t domid)
{
	for (const struct fake_port *p = w->ports; p != NULL; p = p->next)
		if (p->domid == domid)
			p->evt->is_void = true;
}

void
xenio_fake_restore_domain(struct xenio_fake *w, uint16_t from, uint16_t to)
{
	xenio_fake_add_domain(w, to);
	pthread_mutex_lock(&w->lock); /* it slept: for it all this is one moment */
	void_ports_locked(w, from);
	for (struct fake_handle *h = w->handles; h != NULL; h = h->next)
		if (h->domid == from)
			h->domid = to;
	pthread_mutex_unlock(&w->lock);
	xenio_fake_destroy_domain(w, from);
	pthread_mutex_lock(&w->lock);
	for (const struct fake_watch *a = w->watches; a != NULL; a = a->next)
		if (a->h->domid == to)
			fake_fire_locked(w, a->path, true); /* set again by its kernel */
	pthread_mutex_unlock(&w->lock);
}

void
xenio_fake_crash_domain(struct xenio_fake *w, uint16_t domid)
{
	struct fake_domain *d;

	pthread_mutex_lock(&w->lock);
	d = fake_domain_locked(w, domid);
	if (d != NULL)
		d->shutdown = true;
	fake_fire_locked(w, "@releaseDomain", true);
	pthread_mutex_unlock(&w->lock);
}

void
xenio_fake_limit(struct xenio_fake *w, unsigned int nb_pages)
{
	pthread_mutex_lock(&w->lock);
	w->share_limit = nb_pages;
	pthread_mutex_unlock(&w->lock);
}

void
xenio_fake_fail(struct xenio_fake *w, enum xenio_fake_call call, unsigned int n, int error)
{
	pthread_mutex_lock(&w->lock);
	w->fail_in[call] = n;
	w->fail_with[call] = error;
	pthread_mutex_unlock(&w->lock);
}

void
xenio_fake_conflict(struct xenio_fake *w, unsigned int n)
{
	pthread_mutex_lock(&w->lock);
	w->conflicts = n;
	pthread_mutex_unlock(&w->lock);
}

void
xenio_fake_counts(struct xenio_fake *w, struct xenio_fake_counts *c)
{
	memset(c, 0, sizeof(*c));
	pthread_mutex_lock(&w->lock);
	for (const struct fake_handle *h = w->handles; h != NULL; h = h->next) {
		c->handles++;
		for (const struct fake_tx *t = h->txs; t != NULL; t = t->next)
			c->transactions++;
	}
	for (const struct fake_watch *a = w->watches; a != NULL; a = a->next)
		c->watches++;
	for (const struct fake_share *s = w->shares; s != NULL; s = s->next)
		c->granted += s->nb_pages;
	for (const struct fake_mapping *m = w->mappings; m != NULL; m = m->next) {
		c->mapped += m->nb_pages;
		c->foreign += m->refs == NULL ? m->nb_pages : 0;
	}
	for (const struct fake_port *p = w->ports; p != NULL; p = p->next)
		c->ports++;
	for (const struct fake_evt *e = w->evts; e != NULL; e = e->next)
		c->evts++;
	c->notifies = w->notifies;
	c->oopses = w->oopses;
	pthread_mutex_unlock(&w->lock);
}

struct xenio_fake *
xenio_fake_create(void)
{
	struct xenio_fake *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	pthread_mutex_init(&w->lock, NULL);
	w->next_ref = FIRST_REF;
	w->next_port = 1;
	if (fake_store_init(w) < 0) {
		free(w);
		return NULL;
	}
	xenio_fake_add_domain(w, 0);
	return w;
}

void
xenio_fake_destroy(struct xenio_fake *w)
{
	if (w == NULL)
		return;
	fake_store_fini(w);
	while (w->domains != NULL) {
		struct fake_domain *d = w->domains;

		w->domains = d->next;
		free(d);
	}
	pthread_mutex_destroy(&w->lock);
	free(w);
}
