/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The fake's grants: what is shared in one call is a memfd, a grant reference one page of it,
 * counted up over the whole world and checked for owner and peer. The pages live until they are
 * given back and no longer mapped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xenio_fake_priv.h"

#define PROT (PROT_READ | PROT_WRITE)

static struct fake_share *
find_share_locked(const struct xenio_fake *w, uint32_t ref)
{
	struct fake_share *s = w->shares;

	while (s != NULL && (ref < s->first_ref || ref - s->first_ref >= s->nb_pages))
		s = s->next;
	return s;
}

/* Gone when nobody has it any more. */
static void
settle_locked(struct xenio_fake *w, struct fake_share *s)
{
	struct fake_share **p = &w->shares;

	if (s->h != NULL || s->mapped > 0)
		return;
	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	close(s->fd);
	free(s);
}

static int
back_share(struct fake_share *s)
{
	size_t len = (size_t)s->nb_pages * XENIO_PAGE_SIZE;
	int rc;

	s->fd = memfd_create("fake-grant", MFD_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	if (ftruncate(s->fd, (off_t)len) < 0)
		goto close_fd;
	s->addr = mmap(NULL, len, PROT, MAP_SHARED, s->fd, 0);
	if (s->addr != MAP_FAILED)
		return 0;
close_fd:
	rc = -errno;
	close(s->fd);
	return rc;
}

static bool
within_limit_locked(const struct xenio_fake *w, unsigned int nb_pages)
{
	for (const struct fake_share *s = w->shares; s != NULL; s = s->next)
		nb_pages += s->nb_pages;
	return w->share_limit == 0 || nb_pages <= w->share_limit;
}

static int
share_any(struct fake_handle *h, uint16_t domid, unsigned int nb_pages, int port, uint32_t byte,
	  uint32_t *refs, void **addr)
{
	struct fake_share *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return -ENOMEM;
	*s = (struct fake_share){ .h = h, .owner = h->domid, .peer = domid, .nb_pages = nb_pages,
				  .notify_port = port, .notify_byte = byte };
	pthread_mutex_lock(&h->w->lock);
	rc = fake_ordered_locked(h->w, XENIO_FAKE_SHARE);
	if (rc == 0 && !within_limit_locked(h->w, nb_pages))
		rc = -ENOSPC;
	if (rc == 0)
		rc = back_share(s);
	if (rc < 0) {
		pthread_mutex_unlock(&h->w->lock);
		free(s);
		return rc;
	}
	s->first_ref = h->w->next_ref;
	h->w->next_ref += nb_pages;
	for (unsigned int i = 0; i < nb_pages; i++)
		refs[i] = s->first_ref + i;
	*addr = s->addr;
	s->next = h->w->shares;
	h->w->shares = s;
	pthread_mutex_unlock(&h->w->lock);
	return 0;
}

int
fake_share(struct xenio *x, uint16_t domid, unsigned int nb_pages, uint32_t *refs, void **addr)
{
	return share_any(fake_handle_of(x), domid, nb_pages, XENIO_NO_PORT, FAKE_NO_BYTE, refs,
			 addr);
}

int
fake_share_notify(struct xenio *x, uint16_t domid, uint32_t byte_offset, struct xenio_evt *evt,
		  int port, uint32_t *ref, void **addr)
{
	(void)evt;
	if (byte_offset >= XENIO_PAGE_SIZE)
		return -EINVAL;
	return share_any(fake_handle_of(x), domid, 1, port, byte_offset, ref, addr);
}

static void
give_back_locked(struct fake_share *s)
{
	struct xenio_fake *w = s->h->w;
	struct fake_port *port = s->notify_port != XENIO_NO_PORT ?
					 fake_port_locked(w, s->h->domid, s->notify_port) : NULL;

	/* The port of before a restore, which Linux would close: it may be another's by now. */
	w->oopses += s->notify_port != XENIO_NO_PORT && s->h->domid != s->owner;
	if (s->notify_byte != FAKE_NO_BYTE)
		((uint8_t *)s->addr)[s->notify_byte] = 0;
	if (port != NULL)
		fake_notify_locked(w, port);
	munmap(s->addr, (size_t)s->nb_pages * XENIO_PAGE_SIZE);
	s->h = NULL;
	settle_locked(w, s);
}

void
fake_unshare(struct xenio *x, void *addr, unsigned int nb_pages)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_share *s;

	(void)nb_pages;
	pthread_mutex_lock(&h->w->lock);
	for (s = h->w->shares; s != NULL; s = s->next)
		if (s->h == h && s->addr == addr)
			break;
	if (s != NULL)
		give_back_locked(s);
	pthread_mutex_unlock(&h->w->lock);
}

int
fake_reshare(struct xenio *x, uint16_t domid, void *addr, unsigned int nb_pages, uint32_t *refs)
{
	struct fake_handle *h = fake_handle_of(x);
	size_t len = (size_t)nb_pages * XENIO_PAGE_SIZE;
	struct fake_share *s;
	void *page;
	int rc = share_any(h, domid, nb_pages, XENIO_NO_PORT, FAKE_NO_BYTE, refs, &page);

	if (rc < 0)
		return rc;
	memcpy(page, addr, len);
	pthread_mutex_lock(&h->w->lock);
	for (s = h->w->shares; s != NULL; s = s->next)
		if (s->h == h && s->addr == addr)
			break;
	if (s == NULL || mremap(page, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == MAP_FAILED)
		abort(); /* no memory: no test */
	h->w->shares->addr = addr; /* the new one */
	s->h = NULL;
	settle_locked(h->w, s);
	pthread_mutex_unlock(&h->w->lock);
	return 0;
}

/* Pages that are given back cannot be mapped again, as in Xen. */
static int
map_page_locked(struct fake_handle *h, uint16_t domid, uint32_t ref, uint8_t *at)
{
	struct fake_share *s = find_share_locked(h->w, ref);

	if (s == NULL || s->owner != domid || s->peer != h->domid || s->h == NULL ||
	    s->is_void)
		return -EINVAL;
	if (mmap(at, XENIO_PAGE_SIZE, PROT, MAP_SHARED | MAP_FIXED, s->fd,
		 (off_t)((uint64_t)(ref - s->first_ref) * XENIO_PAGE_SIZE)) == MAP_FAILED)
		return -errno;
	s->mapped++;
	return 0;
}

static void
release_locked(struct fake_handle *h, const uint32_t *refs, unsigned int nb_pages)
{
	for (unsigned int i = 0; refs != NULL && i < nb_pages; i++) {
		struct fake_share *s = find_share_locked(h->w, refs[i]);

		s->mapped--;
		settle_locked(h->w, s);
	}
}

/* A frame of a domain that lives. */
static int
map_frame_locked(struct fake_handle *h, uint16_t domid, uint64_t gfn, uint8_t *at)
{
	const struct fake_domain *d = fake_domain_locked(h->w, domid);
	uint64_t offset;
	int fd;

	if (d == NULL || d->dying || d->page == NULL)
		return -EINVAL;
	fd = d->page(d->page_arg, gfn, &offset);
	if (fd < 0)
		return -EINVAL;
	return mmap(at, XENIO_PAGE_SIZE, PROT, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) ==
			       MAP_FAILED ? -errno : 0;
}

static int
map_pages_locked(struct fake_handle *h, uint16_t domid, struct fake_mapping *m,
		 const uint64_t *gfns)
{
	size_t len = (size_t)m->nb_pages * XENIO_PAGE_SIZE;
	unsigned int done;
	int rc = fake_ordered_locked(h->w, XENIO_FAKE_MAP);

	if (rc < 0)
		return rc;
	m->addr = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->addr == MAP_FAILED)
		return -errno;
	for (done = 0; done < m->nb_pages && rc == 0; done += rc == 0) {
		uint8_t *at = (uint8_t *)m->addr + (size_t)done * XENIO_PAGE_SIZE;

		rc = gfns != NULL ? map_frame_locked(h, domid, gfns[done], at) :
				    map_page_locked(h, domid, m->refs[done], at);
	}
	if (rc < 0) {
		release_locked(h, m->refs, done);
		munmap(m->addr, len);
	}
	return rc;
}

static int
map_any(struct fake_handle *h, uint16_t domid, const uint32_t *refs, unsigned int nb_pages,
	int port, uint32_t byte, void **addr)
{
	struct fake_mapping *m = calloc(1, sizeof(*m));
	int rc = -ENOMEM;

	if (m == NULL || nb_pages == 0)
		goto free_mapping;
	*m = (struct fake_mapping){ .h = h, .nb_pages = nb_pages, .notify_port = port,
				    .notify_byte = byte };
	m->refs = malloc(nb_pages * sizeof(*refs));
	if (m->refs == NULL)
		goto free_mapping;
	memcpy(m->refs, refs, nb_pages * sizeof(*refs));
	pthread_mutex_lock(&h->w->lock);
	rc = map_pages_locked(h, domid, m, NULL);
	if (rc == 0) {
		m->next = h->w->mappings;
		h->w->mappings = m;
		*addr = m->addr;
	}
	pthread_mutex_unlock(&h->w->lock);
	if (rc == 0)
		return 0;
	free(m->refs);
free_mapping:
	free(m);
	return rc;
}

int
fake_map(struct xenio *x, uint16_t domid, const uint32_t *refs, unsigned int nb_pages, void **addr)
{
	return map_any(fake_handle_of(x), domid, refs, nb_pages, XENIO_NO_PORT, 0, addr);
}

int
fake_map_notify(struct xenio *x, uint16_t domid, uint32_t ref, uint32_t byte_offset,
		struct xenio_evt *evt, int port, void **addr)
{
	(void)evt;
	if (byte_offset >= XENIO_PAGE_SIZE)
		return -EINVAL;
	return map_any(fake_handle_of(x), domid, &ref, 1, port, byte_offset, addr);
}

int
fake_foreign_map(struct xenio *x, uint16_t domid, const uint64_t *gfns, unsigned int nb_pages,
		 void **addr)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_mapping *m = nb_pages > 0 ? calloc(1, sizeof(*m)) : NULL;
	int rc;

	if (m == NULL)
		return nb_pages > 0 ? -ENOMEM : -EINVAL;
	*m = (struct fake_mapping){ .h = h, .nb_pages = nb_pages, .owner = domid,
				    .notify_port = XENIO_NO_PORT };
	pthread_mutex_lock(&h->w->lock);
	rc = map_pages_locked(h, domid, m, gfns);
	if (rc == 0) {
		m->next = h->w->mappings;
		h->w->mappings = m;
		*addr = m->addr;
	}
	pthread_mutex_unlock(&h->w->lock);
	if (rc < 0)
		free(m);
	return rc;
}

static void
end_mapping_locked(struct fake_mapping **p)
{
	struct fake_mapping *m = *p;
	struct fake_handle *h = m->h;
	struct fake_port *port = m->notify_port != XENIO_NO_PORT ?
					 fake_port_locked(h->w, h->domid, m->notify_port) : NULL;

	*p = m->next;
	if (m->notify_port != XENIO_NO_PORT)
		((uint8_t *)m->addr)[m->notify_byte] = 0;
	munmap(m->addr, (size_t)m->nb_pages * XENIO_PAGE_SIZE);
	release_locked(h, m->refs, m->nb_pages);
	if (port != NULL)
		fake_notify_locked(h->w, port);
	free(m->refs);
	free(m);
}

void
fake_unmap(struct xenio *x, void *addr, unsigned int nb_pages)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_mapping **p;

	(void)nb_pages;
	pthread_mutex_lock(&h->w->lock);
	for (p = &h->w->mappings; *p != NULL; p = &(*p)->next)
		if ((*p)->h == h && (*p)->addr == addr) {
			end_mapping_locked(p);
			break;
		}
	pthread_mutex_unlock(&h->w->lock);
}

void
fake_grants_forget_locked(struct fake_handle *h)
{
	struct fake_mapping **p = &h->w->mappings;
	struct fake_share *s, *next;

	while (*p != NULL) {
		if ((*p)->h == h)
			end_mapping_locked(p);
		else
			p = &(*p)->next;
	}
	for (s = h->w->shares; s != NULL; s = next) {
		next = s->next;
		if (s->h == h)
			give_back_locked(s);
	}
}

void
xenio_fake_void_grants(struct xenio_fake *w, uint16_t domid)
{
	pthread_mutex_lock(&w->lock);
	for (struct fake_share *s = w->shares; s != NULL; s = s->next)
		s->is_void |= s->owner == domid;
	pthread_mutex_unlock(&w->lock);
}

unsigned int
fake_mapped_of_locked(const struct xenio_fake *w, uint16_t owner)
{
	unsigned int n = 0;

	for (const struct fake_share *s = w->shares; s != NULL; s = s->next)
		n += s->owner == owner ? s->mapped : 0;
	for (const struct fake_mapping *m = w->mappings; m != NULL; m = m->next)
		n += m->refs == NULL && m->owner == owner ? m->nb_pages : 0;
	return n;
}
