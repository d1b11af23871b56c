/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Requests to xenstored, see xenio_store.h. A request is a copy of all its arguments, so that it
 *can be left: then the thread that makes it frees it, and what it got. There is one at a time;
 *libxenstore would do no more either.
 *
 *	(none) ──► given ──► done ──► (none)      the caller takes what it got
 *	             └─────► left ──► (none)      nobody does
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xenstore.h>

#include "xenio_store.h"

#define MAX_PERMS 4

unsigned int xenio_store_deadline_ms = 10000;

struct request {
	bool (*run)(struct xs_handle *xs, struct request *q); /* false: errno says why */
	xenio_tx tx;
	char path[XENIO_PATH_MAX];
	char value[XENIO_VALUE_MAX]; /* or the token of a watch */
	struct xs_permissions perms[MAX_PERMS];
	unsigned int nb_perms;
	uint16_t domid;
	bool abort;
	/* What comes of it */
	int rc;
	void *got;
	unsigned int len;
	bool done, left;
};

struct xenio_store {
	struct xs_handle *xs;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct request *request; /* NULL: none */
	bool stop, orphan;	 /* orphan: closed while a request was left; the thread frees all */
};

static int
error_of(int fallback)
{
	return errno != 0 ? -errno : fallback;
}

static void
free_store(struct xenio_store *store)
{
	xs_close(store->xs);
	pthread_cond_destroy(&store->changed);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

static bool
run_tx_start(struct xs_handle *xs, struct request *q)
{
	q->tx = xs_transaction_start(xs);
	return q->tx != XBT_NULL;
}

static void
forget(struct xs_handle *xs, struct request *q)
{
	if (q->run == run_tx_start && q->rc == 0)
		xs_transaction_end(xs, q->tx, true);
	free(q->got);
	free(q);
}

/* The request that was given is run without the lock, and is ours meanwhile. */
static void
run_request_locked(struct xenio_store *store)
{
	struct request *q = store->request;

	pthread_mutex_unlock(&store->lock);
	errno = 0;
	q->rc = q->run(store->xs, q) ? 0 : error_of(-EIO);
	pthread_mutex_lock(&store->lock);
	if (q->left) {
		store->request = NULL;
		forget(store->xs, q);
	} else {
		q->done = true;
	}
	pthread_cond_broadcast(&store->changed);
}

static void *
serve(void *arg)
{
	struct xenio_store *store = arg;
	bool orphan;

	pthread_mutex_lock(&store->lock);
	while (!store->stop) {
		if (store->request != NULL && !store->request->done)
			run_request_locked(store);
		else
			pthread_cond_wait(&store->changed, &store->lock);
	}
	orphan = store->orphan;
	pthread_mutex_unlock(&store->lock);
	if (orphan)
		free_store(store);
	return NULL;
}

static int
start_thread(struct xenio_store *store)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the application's */
	rc = pthread_create(&store->thread, NULL, serve, store);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_setname_np(store->thread, "nfe-xenstore");
	return -rc;
}

int
xenio_store_open(struct xenio_store **out)
{
	struct xenio_store *store = calloc(1, sizeof(*store));
	int rc;

	if (store == NULL)
		return -ENOMEM;
	store->xs = xs_open(0);
	if (store->xs == NULL) {
		free(store);
		return -ENODEV;
	}
	pthread_mutex_init(&store->lock, NULL);
	pthread_cond_init(&store->changed, NULL);
	rc = start_thread(store);
	if (rc < 0)
		free_store(store);
	else
		*out = store;
	return rc;
}

void
xenio_store_close(struct xenio_store *store)
{
	pthread_t thread = store->thread;
	bool orphan;

	pthread_mutex_lock(&store->lock);
	store->stop = true;
	orphan = store->orphan = store->request != NULL; /* left: it may never come back */
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
	if (orphan) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	free_store(store);
}

struct xs_handle *
xenio_store_xs(struct xenio_store *store)
{
	return store->xs;
}

static struct timespec
deadline_from_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += xenio_store_deadline_ms / 1000;
	ts.tv_nsec += xenio_store_deadline_ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000L) {
		ts.tv_nsec -= 1000000000L;
		ts.tv_sec++;
	}
	return ts;
}

/* Until nobody else's request is under way; false: one is left, or it takes too long. */
static bool
wait_free_locked(struct xenio_store *store, const struct timespec *deadline)
{
	int rc = 0;

	while (store->request != NULL && !store->request->left && rc == 0)
		rc = pthread_cond_clockwait(&store->changed, &store->lock, CLOCK_MONOTONIC,
					    deadline);
	return store->request == NULL;
}

/* The request and what comes of it; -EIO: it was left. */
static int
ask(struct xenio_store *store, struct request *q)
{
	struct timespec deadline = deadline_from_now();
	struct request *given = malloc(sizeof(*given));
	int rc = given == NULL ? -ENOMEM : 0, waited = 0;

	if (rc < 0)
		return rc;
	*given = *q;
	pthread_mutex_lock(&store->lock);
	if (!wait_free_locked(store, &deadline)) {
		pthread_mutex_unlock(&store->lock);
		free(given);
		return -EIO;
	}
	store->request = given;
	pthread_cond_broadcast(&store->changed);
	while (!given->done && waited == 0)
		waited = pthread_cond_clockwait(&store->changed, &store->lock, CLOCK_MONOTONIC,
						&deadline);
	if (given->done) {
		*q = *given;
		rc = given->rc;
		store->request = NULL;
		free(given);
	} else {
		given->left = true;
		rc = -EIO;
	}
	pthread_cond_broadcast(&store->changed);
	pthread_mutex_unlock(&store->lock);
	return rc;
}

/* One with a path and a text, which may be NULL. */
static int
prepare(struct request *q, bool (*run)(struct xs_handle *xs, struct request *q), xenio_tx tx,
	const char *path, const char *text)
{
	size_t path_len = strlen(path), text_len = text != NULL ? strlen(text) : 0;

	memset(q, 0, sizeof(*q));
	q->run = run;
	q->tx = tx;
	if (path_len >= sizeof(q->path) || text_len >= sizeof(q->value))
		return -ENAMETOOLONG;
	memcpy(q->path, path, path_len);
	memcpy(q->value, text != NULL ? text : "", text_len);
	q->len = (unsigned int)text_len;
	return 0;
}

static int
ask_text(struct xenio_store *store, bool (*run)(struct xs_handle *xs, struct request *q),
	 xenio_tx tx, const char *path, const char *text)
{
	struct request q;
	int rc = prepare(&q, run, tx, path, text);

	return rc < 0 ? rc : ask(store, &q);
}

static bool
run_read(struct xs_handle *xs, struct request *q)
{
	q->got = xs_read(xs, q->tx, q->path, &q->len);
	return q->got != NULL;
}

int
xenio_store_read(struct xenio_store *store, xenio_tx tx, const char *path, char *value, size_t size)
{
	struct request q;
	int rc = prepare(&q, run_read, tx, path, NULL);

	if (rc == 0)
		rc = ask(store, &q);
	if (rc < 0)
		return rc;
	rc = q.len < size ? (int)q.len : -E2BIG;
	if (rc >= 0) {
		memcpy(value, q.got, q.len);
		value[q.len] = '\0';
	}
	free(q.got);
	return rc;
}

static bool
run_write(struct xs_handle *xs, struct request *q)
{
	return xs_write(xs, q->tx, q->path, q->value, q->len);
}

int
xenio_store_write(struct xenio_store *store, xenio_tx tx, const char *path, const char *value)
{
	return ask_text(store, run_write, tx, path, value);
}

static bool
run_mkdir(struct xs_handle *xs, struct request *q)
{
	return xs_mkdir(xs, q->tx, q->path);
}

int
xenio_store_mkdir(struct xenio_store *store, xenio_tx tx, const char *path)
{
	return ask_text(store, run_mkdir, tx, path, NULL);
}

static bool
run_rm(struct xs_handle *xs, struct request *q)
{
	return xs_rm(xs, q->tx, q->path);
}

int
xenio_store_rm(struct xenio_store *store, xenio_tx tx, const char *path)
{
	return ask_text(store, run_rm, tx, path, NULL);
}

static bool
run_list(struct xs_handle *xs, struct request *q)
{
	q->got = xs_directory(xs, q->tx, q->path, &q->len);
	return q->got != NULL;
}

int
xenio_store_list(struct xenio_store *store, xenio_tx tx, const char *path, char ***names,
		 unsigned int *nb_names)
{
	struct request q;
	int rc = prepare(&q, run_list, tx, path, NULL);

	if (rc == 0)
		rc = ask(store, &q);
	if (rc < 0)
		return rc;
	*names = q.got;
	*nb_names = q.len;
	return 0;
}

static bool
run_set_perms(struct xs_handle *xs, struct request *q)
{
	return xs_set_permissions(xs, q->tx, q->path, q->perms, q->nb_perms);
}

int
xenio_store_set_perms(struct xenio_store *store, xenio_tx tx, const char *path,
		      const struct xenio_perm *perms, unsigned int nb_perms)
{
	struct request q;
	int rc = prepare(&q, run_set_perms, tx, path, NULL);

	if (nb_perms == 0 || nb_perms > MAX_PERMS)
		return -EINVAL;
	for (unsigned int i = 0; i < nb_perms; i++) {
		q.perms[i].id = perms[i].domid;
		q.perms[i].perms =
			(perms[i].read ? XS_PERM_READ : 0u) | (perms[i].write ? XS_PERM_WRITE : 0u);
	}
	q.nb_perms = nb_perms;
	return rc < 0 ? rc : ask(store, &q);
}

int
xenio_store_tx_start(struct xenio_store *store, xenio_tx *tx)
{
	struct request q = { .run = run_tx_start };
	int rc = ask(store, &q);

	*tx = q.tx;
	return rc;
}

static bool
run_tx_end(struct xs_handle *xs, struct request *q)
{
	return xs_transaction_end(xs, q->tx, q->abort);
}

int
xenio_store_tx_end(struct xenio_store *store, xenio_tx tx, bool abort)
{
	struct request q = { .run = run_tx_end, .tx = tx, .abort = abort };

	return ask(store, &q);
}

static bool
run_watch(struct xs_handle *xs, struct request *q)
{
	return xs_watch(xs, q->path, q->value);
}

int
xenio_store_watch(struct xenio_store *store, const char *path, const char *token)
{
	return ask_text(store, run_watch, XENIO_NO_TX, path, token);
}

static bool
run_unwatch(struct xs_handle *xs, struct request *q)
{
	return xs_unwatch(xs, q->path, q->value);
}

int
xenio_store_unwatch(struct xenio_store *store, const char *path, const char *token)
{
	return ask_text(store, run_unwatch, XENIO_NO_TX, path, token);
}

static bool
run_exists(struct xs_handle *xs, struct request *q)
{
	if (xs_is_domain_introduced(xs, q->domid))
		return true;
	errno = ENOENT;
	return false;
}

int
xenio_store_domain_exists(struct xenio_store *store, uint16_t domid)
{
	struct request q = { .run = run_exists, .domid = domid };

	return ask(store, &q);
}
