/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The fake's watches: by prefix, each with a queue of what fired at its handle, and an eventfd that
 * counts them. The world owns the watches, a handle what waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xenio_fake_priv.h"

static void
fire_one(struct fake_watch *watch, const char *path)
{
	struct fake_fired *f = calloc(1, sizeof(*f)), **end = &watch->h->fired;
	uint64_t one = 1;

	if (f == NULL)
		return;
	f->path = strdup(path);
	f->token = strdup(watch->token);
	while (*end != NULL)
		end = &(*end)->next;
	*end = f;
	if (write(watch->h->watch_fd, &one, sizeof(one)) < 0)
		return; /* readable anyway */
}

void
fake_fire_locked(struct xenio_fake *w, const char *path, bool exact)
{
	for (struct fake_watch *watch = w->watches; watch != NULL; watch = watch->next)
		if (exact ? strcmp(watch->path, path) == 0 : fake_is_below(path, watch->path))
			fire_one(watch, path);
}

/* Where it stands, or the end of the list. */
static struct fake_watch **
find_watch_locked(const struct fake_handle *h, const char *path, const char *token)
{
	struct fake_watch **p = &h->w->watches;

	while (*p != NULL && ((*p)->h != h || strcmp((*p)->path, path) != 0 ||
			      strcmp((*p)->token, token) != 0))
		p = &(*p)->next;
	return p;
}

static int
watch_locked(struct fake_handle *h, const char *path, const char *token)
{
	struct fake_watch *watch;

	if (h->muted)
		return -EIO;
	if (*find_watch_locked(h, path, token) != NULL)
		return -EEXIST;
	watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	watch->h = h;
	watch->path = strdup(path);
	watch->token = strdup(token);
	watch->next = h->w->watches;
	h->w->watches = watch;
	fire_one(watch, path);
	return 0;
}

int
fake_watch(struct xenio *x, const char *path, const char *token)
{
	struct fake_handle *h = fake_handle_of(x);
	char full[XENIO_PATH_MAX];
	int rc = fake_resolve(h, path, full);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->w->lock);
	rc = watch_locked(h, full, token);
	pthread_mutex_unlock(&h->w->lock);
	return rc;
}

static void
free_watch(struct fake_watch **p)
{
	struct fake_watch *watch = *p;

	*p = watch->next;
	free(watch->path);
	free(watch->token);
	free(watch);
}

int
fake_unwatch(struct xenio *x, const char *path, const char *token)
{
	struct fake_handle *h = fake_handle_of(x);
	char full[XENIO_PATH_MAX];
	struct fake_watch **p;
	int rc = fake_resolve(h, path, full);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->w->lock);
	p = find_watch_locked(h, full, token);
	if (*p != NULL)
		free_watch(p);
	else
		rc = -ENOENT;
	pthread_mutex_unlock(&h->w->lock);
	return rc;
}

int
fake_watch_fd(struct xenio *x)
{
	return fake_handle_of(x)->watch_fd;
}

static void
copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", strlen(from) < size ? from : "");
}

int
fake_watch_next(struct xenio *x, char *path, size_t path_size, char *token, size_t token_size)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_fired *f;
	uint64_t count;

	pthread_mutex_lock(&h->w->lock);
	f = h->fired;
	if (f != NULL) {
		h->fired = f->next;
		if (read(h->watch_fd, &count, sizeof(count)) < 0)
			count = 0; /* a semaphore: one each */
	}
	pthread_mutex_unlock(&h->w->lock);
	if (f == NULL)
		return 0;
	copy_text(path, path_size, f->path);
	copy_text(token, token_size, f->token);
	free(f->path);
	free(f->token);
	free(f);
	return 1;
}

void
fake_watches_forget_locked(struct fake_handle *h)
{
	struct fake_watch **p = &h->w->watches;

	while (*p != NULL) {
		if ((*p)->h == h)
			free_watch(p);
		else
			p = &(*p)->next;
	}
	while (h->fired != NULL) {
		struct fake_fired *f = h->fired;

		h->fired = f->next;
		free(f->path);
		free(f->token);
		free(f);
	}
}
