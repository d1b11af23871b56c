/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * xenio.h on the libraries of Xen whose interface is stable: xenstore (xenio_store.c), gnttab, evtchn.
 * All that a guest needs. Built only when they are found. Grants are opened when first used, so that a
 * program that only offers needs no gntdev and the other way round.
 *
 * gntalloc gives zeroed pages and nothing else lies in them (rule 15); when they are given back
 * while the peer still maps them, the kernel keeps them until it lets go.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "xenio_real.h"
#include "xenio_store.h"

struct real_evt {
	struct xenio_evt evt;
	xenevtchn_handle *h;
};

static struct xenio_real *
to_real(struct xenio *x)
{
	return (struct xenio_real *)(void *)x;
}

static struct real_evt *
to_evt(struct xenio_evt *evt)
{
	return (struct real_evt *)(void *)evt;
}

static int
error_of(int fallback)
{
	return errno != 0 ? -errno : fallback;
}

void
xenio_real_close(struct xenio *x)
{
	struct xenio_real *r = to_real(x);

	if (r->shr != NULL)
		xengntshr_close(r->shr);
	if (r->tab != NULL)
		xengnttab_close(r->tab);
	if (r->claim_fd >= 0)
		close(r->claim_fd);
	xenio_store_close(r->store);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int
real_read(struct xenio *x, xenio_tx tx, const char *path, char *value, size_t size)
{
	return xenio_store_read(to_real(x)->store, tx, path, value, size);
}

static int
real_domid(struct xenio *x)
{
	char text[16];
	int rc = real_read(x, XENIO_NO_TX, "domid", text, sizeof(text));
	uint32_t id;

	if (rc < 0)
		return rc;
	rc = xenio_parse_u32(text, &id);
	return rc < 0 || id > XENIO_DOMID_MAX ? -EPROTO : (int)id;
}

/* An abstract socket name dies with its process, and needs no directory. */
static int
real_claim(struct xenio *x, const char *name)
{
	struct xenio_real *r = to_real(x);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "nfe-xen/%s", name);

	if (r->claim_fd >= 0)
		return -EBUSY;
	r->claim_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (r->claim_fd < 0)
		return -errno;
	if (bind(r->claim_fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) == 0)
		return 0;
	n = errno == EADDRINUSE ? -EBUSY : -errno;
	close(r->claim_fd);
	r->claim_fd = -1;
	return n;
}

static int
real_write(struct xenio *x, xenio_tx tx, const char *path, const char *value)
{
	return xenio_store_write(to_real(x)->store, tx, path, value);
}

static int
real_mkdir(struct xenio *x, xenio_tx tx, const char *path)
{
	return xenio_store_mkdir(to_real(x)->store, tx, path);
}

static int
real_rm(struct xenio *x, xenio_tx tx, const char *path)
{
	return xenio_store_rm(to_real(x)->store, tx, path);
}

static int
real_list(struct xenio *x, xenio_tx tx, const char *path, char ***names, unsigned int *nb_names)
{
	return xenio_store_list(to_real(x)->store, tx, path, names, nb_names);
}

static int
real_set_perms(struct xenio *x, xenio_tx tx, const char *path, const struct xenio_perm *perms,
	       unsigned int nb_perms)
{
	return xenio_store_set_perms(to_real(x)->store, tx, path, perms, nb_perms);
}

static int
real_tx_start(struct xenio *x, xenio_tx *tx)
{
	return xenio_store_tx_start(to_real(x)->store, tx);
}

static int
real_tx_end(struct xenio *x, xenio_tx tx, bool abort)
{
	return xenio_store_tx_end(to_real(x)->store, tx, abort);
}

static int
real_watch(struct xenio *x, const char *path, const char *token)
{
	return xenio_store_watch(to_real(x)->store, path, token);
}

static int
real_unwatch(struct xenio *x, const char *path, const char *token)
{
	return xenio_store_unwatch(to_real(x)->store, path, token);
}

static int
real_watch_fd(struct xenio *x)
{
	return xs_fileno(xenio_store_xs(to_real(x)->store));
}

static void
copy_text(char *to, size_t size, const char *from)
{
	size_t len = strlen(from);

	if (len >= size)
		len = 0;
	memcpy(to, from, len);
	to[len] = '\0';
}

static int
real_watch_next(struct xenio *x, char *path, size_t path_size, char *token, size_t token_size)
{
	char **got = xs_check_watch(xenio_store_xs(to_real(x)->store));

	if (got == NULL)
		return errno == EAGAIN ? 0 : error_of(-EIO);
	copy_text(path, path_size, got[XS_WATCH_PATH]);
	copy_text(token, token_size, got[XS_WATCH_TOKEN]);
	free(got);
	return 1;
}

/* Without libxenctrl: xenstored knows whether the domain exists, not how it is. */
static int
real_domain_info(struct xenio *x, uint16_t domid, struct xenio_domain *info)
{
	*info = (struct xenio_domain){ .domid = domid };
	return xenio_store_domain_exists(to_real(x)->store, domid);
}

static int
open_shr(struct xenio_real *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->shr == NULL)
		r->shr = xengntshr_open(NULL, 0);
	pthread_mutex_unlock(&r->lock);
	return r->shr != NULL ? 0 : -ENODEV;
}

static int
open_tab(struct xenio_real *r)
{
	pthread_mutex_lock(&r->lock);
	if (r->tab == NULL)
		r->tab = xengnttab_open(NULL, 0);
	pthread_mutex_unlock(&r->lock);
	return r->tab != NULL ? 0 : -ENODEV;
}

static int
real_share(struct xenio *x, uint16_t domid, unsigned int nb_pages, uint32_t *refs, void **addr)
{
	struct xenio_real *r = to_real(x);
	int rc = open_shr(r);

	if (rc < 0)
		return rc;
	errno = 0;
	*addr = xengntshr_share_pages(r->shr, domid, (int)nb_pages, refs, 1);
	return *addr != NULL ? 0 : error_of(-ENOSPC);
}

static void
real_unshare(struct xenio *x, void *addr, unsigned int nb_pages)
{
	xengntshr_unshare(to_real(x)->shr, addr, nb_pages);
}

/* The old pages are given back before new ones are asked for: gntalloc's limit is for both. Each
 * mremap() replaces what was at the address at once, so that it can be read all the time. */
static int
real_reshare(struct xenio *x, uint16_t domid, void *addr, unsigned int nb_pages, uint32_t *refs)
{
	size_t len = (size_t)nb_pages * XENIO_PAGE_SIZE;
	void *page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (page == MAP_FAILED)
		return -errno;
	memcpy(page, addr, len);
	if (mremap(page, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == MAP_FAILED) {
		rc = -errno;
		munmap(page, len);
		return rc;
	}
	rc = real_share(x, domid, nb_pages, refs, &page);
	if (rc < 0)
		return rc;
	memcpy(page, addr, len);
	if (mremap(page, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, addr) != MAP_FAILED)
		return 0;
	rc = -errno;
	real_unshare(x, page, nb_pages);
	return rc;
}

static int
real_share_notify(struct xenio *x, uint16_t domid, uint32_t byte_offset, struct xenio_evt *evt,
		  int port, uint32_t *ref, void **addr)
{
	struct xenio_real *r = to_real(x);
	int rc = open_shr(r);

	(void)evt; /* as in map_notify */
	if (rc < 0)
		return rc;
	errno = 0;
	*addr = xengntshr_share_page_notify(r->shr, domid, ref, 1, byte_offset,
					    (evtchn_port_t)port);
	return *addr != NULL ? 0 : error_of(-ENOSPC);
}

static int
real_map(struct xenio *x, uint16_t domid, const uint32_t *refs, unsigned int nb_pages, void **addr)
{
	struct xenio_real *r = to_real(x);
	int rc = open_tab(r);
	uint32_t *copy;

	if (rc < 0)
		return rc;
	copy = malloc(nb_pages * sizeof(*copy)); /* the library wants to be able to write */
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, refs, nb_pages * sizeof(*copy));
	errno = 0;
	*addr = xengnttab_map_domain_grant_refs(r->tab, nb_pages, domid, copy,
						PROT_READ | PROT_WRITE);
	rc = *addr != NULL ? 0 : error_of(-EINVAL);
	free(copy);
	return rc;
}

static int
real_map_notify(struct xenio *x, uint16_t domid, uint32_t ref, uint32_t byte_offset,
		struct xenio_evt *evt, int port, void **addr)
{
	struct xenio_real *r = to_real(x);
	int rc = open_tab(r);

	(void)evt; /* the kernel knows the port, whoever owns its handle */
	if (rc < 0)
		return rc;
	errno = 0;
	*addr = xengnttab_map_grant_ref_notify(r->tab, domid, ref, PROT_READ | PROT_WRITE,
					       byte_offset, (evtchn_port_t)port);
	return *addr != NULL ? 0 : error_of(-EINVAL);
}

static void
real_unmap(struct xenio *x, void *addr, unsigned int nb_pages)
{
	xengnttab_unmap(to_real(x)->tab, addr, nb_pages);
}

static int
no_foreign_map(struct xenio *x, uint16_t domid, const uint64_t *gfns, unsigned int nb_pages,
	       void **addr)
{
	(void)x, (void)domid, (void)gfns, (void)nb_pages, (void)addr;
	return -EOPNOTSUPP;
}

static void
no_foreign_unmap(struct xenio *x, void *addr, unsigned int nb_pages)
{
	(void)x, (void)addr, (void)nb_pages;
}

static int
real_evt_open(struct xenio *x, struct xenio_evt **out)
{
	struct real_evt *e = calloc(1, sizeof(*e));
	int flags;

	if (e == NULL)
		return -ENOMEM;
	e->evt.x = x;
	e->h = xenevtchn_open(NULL, 0);
	if (e->h == NULL) {
		free(e);
		return -ENODEV;
	}
	/* pending() must never wait: another reader, or a port that was unbound meanwhile. */
	flags = fcntl(xenevtchn_fd(e->h), F_GETFL);
	if (flags < 0 || fcntl(xenevtchn_fd(e->h), F_SETFL, flags | O_NONBLOCK) < 0) {
		flags = -errno;
		xenevtchn_close(e->h);
		free(e);
		return flags;
	}
	*out = &e->evt;
	return 0;
}

static void
real_evt_close(struct xenio_evt *evt)
{
	struct real_evt *e = to_evt(evt);

	xenevtchn_close(e->h);
	free(e);
}

static int
real_evt_fd(struct xenio_evt *evt)
{
	return xenevtchn_fd(to_evt(evt)->h);
}

static int
real_evt_unbound(struct xenio_evt *evt, uint16_t domid)
{
	int port = xenevtchn_bind_unbound_port(to_evt(evt)->h, domid);

	return port >= 0 ? port : error_of(-ENOSPC);
}

static int
real_evt_bind(struct xenio_evt *evt, uint16_t domid, uint32_t remote_port)
{
	int port = xenevtchn_bind_interdomain(to_evt(evt)->h, domid, remote_port);

	return port >= 0 ? port : error_of(-EINVAL);
}

static void
real_evt_unbind(struct xenio_evt *evt, int port)
{
	xenevtchn_unbind(to_evt(evt)->h, (evtchn_port_t)port);
}

static int
real_evt_notify(struct xenio_evt *evt, int port)
{
	return xenevtchn_notify(to_evt(evt)->h, (evtchn_port_t)port) == 0 ? 0 : -errno;
}

static int
real_evt_pending(struct xenio_evt *evt)
{
	int port = xenevtchn_pending(to_evt(evt)->h);

	return port >= 0 ? port : error_of(-EAGAIN);
}

static int
real_evt_unmask(struct xenio_evt *evt, int port)
{
	return xenevtchn_unmask(to_evt(evt)->h, (evtchn_port_t)port) == 0 ? 0 : -errno;
}

const struct xenio_ops xenio_real_ops = {
	.name = "xen",
	.close = xenio_real_close,
	.domid = real_domid,
	.claim = real_claim,
	.read = real_read,
	.write = real_write,
	.mkdir = real_mkdir,
	.rm = real_rm,
	.list = real_list,
	.set_perms = real_set_perms,
	.tx_start = real_tx_start,
	.tx_end = real_tx_end,
	.watch = real_watch,
	.unwatch = real_unwatch,
	.watch_fd = real_watch_fd,
	.watch_next = real_watch_next,
	.domain_info = real_domain_info,
	.share = real_share,
	.unshare = real_unshare,
	.reshare = real_reshare,
	.share_notify = real_share_notify,
	.map = real_map,
	.map_notify = real_map_notify,
	.unmap = real_unmap,
	.foreign_map = no_foreign_map,
	.foreign_unmap = no_foreign_unmap,
	.evt_open = real_evt_open,
	.evt_close = real_evt_close,
	.evt_fd = real_evt_fd,
	.evt_unbound = real_evt_unbound,
	.evt_bind = real_evt_bind,
	.evt_unbind = real_evt_unbind,
	.evt_notify = real_evt_notify,
	.evt_pending = real_evt_pending,
	.evt_unmask = real_evt_unmask,
};

int
xenio_real_create(size_t size, struct xenio_real **out)
{
	struct xenio_real *r = calloc(1, size);
	int rc;

	if (r == NULL)
		return -ENOMEM;
	r->claim_fd = -1;
	r->x.ops = &xenio_real_ops;
	rc = xenio_store_open(&r->store);
	if (rc < 0) {
		free(r);
		return rc;
	}
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

int
xenio_real_open(struct xenio **x)
{
	struct xenio_real *r;
	int rc = xenio_real_create(sizeof(*r), &r);

	if (rc == 0)
		*x = &r->x;
	return rc;
}
