/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The fake's xenstore: a list of nodes, and transactions that collect what they will do and do it
 * at their end; or nothing of it, if a node that they have read was changed meanwhile, as with
 * xenstored. The world owns the nodes, a handle its transactions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenio_fake_priv.h"

/* Absolute path in full[XENIO_PATH_MAX]; '@' names xenstored's own events. */
int
fake_resolve(const struct fake_handle *h, const char *path, char *full)
{
	int n = path[0] == '/' || path[0] == '@' ?
			snprintf(full, XENIO_PATH_MAX, "%s", path) :
			snprintf(full, XENIO_PATH_MAX, "/local/domain/%u/%s", h->domid, path);

	return n >= XENIO_PATH_MAX ? -EINVAL : 0;
}

bool
fake_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return path[0] == '/';
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static struct fake_node *
find_locked(const struct xenio_fake *w, const char *path)
{
	for (struct fake_node *n = w->nodes; n != NULL; n = n->next)
		if (strcmp(n->path, path) == 0)
			return n;
	return NULL;
}

/* The node itself, or the nearest one above that exists. */
static struct fake_node *
find_nearest_locked(const struct xenio_fake *w, const char *path)
{
	char above[XENIO_PATH_MAX];
	struct fake_node *n;

	snprintf(above, sizeof(above), "%s", path);
	while ((n = find_locked(w, above)) == NULL) {
		char *slash = strrchr(above, '/');

		if (slash == NULL || slash == above)
			return find_locked(w, "/");
		*slash = '\0';
	}
	return n;
}

static bool
may(const struct fake_handle *h, const struct fake_node *n, bool write)
{
	const struct xenio_perm *p = &n->perm[0];

	if (h->domid == 0 || p->domid == h->domid)
		return true;
	for (unsigned int i = 1; i < n->nb_perms; i++)
		if (n->perm[i].domid == h->domid)
			p = &n->perm[i];
	return write ? p->write : p->read;
}

static int
create_locked(struct xenio_fake *w, const struct fake_handle *h, const char *path,
	      const struct fake_node *like, struct fake_node **out)
{
	struct fake_node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return -ENOMEM;
	n->path = strdup(path);
	n->value = strdup("");
	if (n->path == NULL || n->value == NULL) {
		free(n->path);
		free(n->value);
		free(n);
		return -ENOMEM;
	}
	memcpy(n->perm, like->perm, sizeof(n->perm));
	n->nb_perms = like->nb_perms;
	if (h->domid != 0)
		n->perm[0].domid = h->domid;
	n->generation = ++w->generation;
	n->next = w->nodes;
	w->nodes = n;
	*out = n;
	return 0;
}

/* With all that is missing above it. */
static int
create_path_locked(struct xenio_fake *w, const struct fake_handle *h, const char *path,
		   struct fake_node **out)
{
	const struct fake_node *like = find_nearest_locked(w, path);
	char part[XENIO_PATH_MAX];
	int rc = 0;

	if (!may(h, like, true))
		return -EACCES;
	for (size_t i = 1; i <= strlen(path) && rc == 0; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		*out = find_locked(w, part);
		if (*out == NULL)
			rc = create_locked(w, h, part, like, out);
	}
	return rc;
}

static int
write_locked(struct fake_handle *h, const char *path, const char *value)
{
	struct xenio_fake *w = h->w;
	struct fake_node *n = find_locked(w, path);
	int rc = fake_ordered_locked(w, XENIO_FAKE_WRITE);
	char *copy;

	if (rc < 0)
		return rc;
	if (n == NULL)
		rc = create_path_locked(w, h, path, &n);
	else if (!may(h, n, true))
		rc = -EACCES;
	if (rc < 0)
		return rc;
	if (value != NULL) {
		copy = strdup(value);
		if (copy == NULL)
			return -ENOMEM;
		free(n->value);
		n->value = copy;
	}
	n->generation = ++w->generation;
	fake_fire_locked(w, path, false);
	return 0;
}

void
fake_remove_tree_locked(struct xenio_fake *w, const char *path)
{
	struct fake_node **p = &w->nodes;

	while (*p != NULL) {
		struct fake_node *n = *p;

		if (!fake_is_below(n->path, path)) {
			p = &n->next;
			continue;
		}
		*p = n->next;
		if (strcmp(n->path, path) != 0)
			fake_fire_locked(w, n->path, true);
		free(n->path);
		free(n->value);
		free(n);
	}
	fake_fire_locked(w, path, false);
}

static int
rm_locked(struct fake_handle *h, const char *path)
{
	char above[XENIO_PATH_MAX], *slash;
	struct fake_node *n = find_locked(h->w, path);

	if (n == NULL) {
		snprintf(above, sizeof(above), "%s", path);
		slash = strrchr(above, '/');
		if (slash != NULL && slash != above)
			*slash = '\0';
		return find_locked(h->w, above) != NULL ? 0 : -ENOENT;
	}
	if (!may(h, n, true))
		return -EACCES;
	fake_remove_tree_locked(h->w, path);
	return 0;
}

static int
perms_locked(struct fake_handle *h, const char *path, const struct xenio_perm *perms,
	     unsigned int nb_perms)
{
	struct fake_node *n = find_locked(h->w, path);

	if (n == NULL)
		return -ENOENT;
	if (h->domid != 0 && n->perm[0].domid != h->domid)
		return -EACCES;
	memcpy(n->perm, perms, nb_perms * sizeof(*perms));
	n->nb_perms = nb_perms;
	n->generation = ++h->w->generation;
	fake_fire_locked(h->w, path, false);
	return 0;
}

static struct fake_tx *
find_tx(const struct fake_handle *h, xenio_tx tx)
{
	struct fake_tx *t = h->txs;

	while (t != NULL && t->id != tx)
		t = t->next;
	return t;
}

static int
do_op_locked(struct fake_handle *h, const struct fake_op *op)
{
	switch (op->kind) {
	case FAKE_OP_READ:
		return 0;
	case FAKE_OP_WRITE:
		return write_locked(h, op->path, op->value);
	case FAKE_OP_RM:
		return rm_locked(h, op->path);
	default:
		return perms_locked(h, op->path, op->perm, op->nb_perms);
	}
}

static int
defer(struct fake_tx *t, const struct fake_op *op)
{
	struct fake_op *copy = malloc(sizeof(*copy)), **end = &t->ops;

	if (copy == NULL)
		return -ENOMEM;
	*copy = *op;
	copy->path = strdup(op->path);
	copy->value = op->value != NULL ? strdup(op->value) : NULL;
	copy->next = NULL;
	while (*end != NULL)
		end = &(*end)->next;
	*end = copy;
	return 0;
}

/* At once, or at the end of the transaction. */
static int
perform(struct xenio *x, xenio_tx tx, struct fake_op *op, const char *path)
{
	struct fake_handle *h = fake_handle_of(x);
	char full[XENIO_PATH_MAX];
	struct fake_tx *t;
	int rc = fake_resolve(h, path, full);

	if (rc < 0)
		return rc;
	op->path = full;
	pthread_mutex_lock(&h->w->lock);
	t = find_tx(h, tx);
	if (h->muted)
		rc = -EIO;
	else if (tx != XENIO_NO_TX)
		rc = t == NULL ? -EINVAL : defer(t, op);
	else
		rc = do_op_locked(h, op);
	pthread_mutex_unlock(&h->w->lock);
	return rc;
}

int
fake_write(struct xenio *x, xenio_tx tx, const char *path, const char *value)
{
	char copy[4096];
	struct fake_op op = { .kind = FAKE_OP_WRITE, .value = copy };

	if (strlen(value) >= sizeof(copy))
		return -E2BIG;
	strcpy(copy, value);
	return perform(x, tx, &op, path);
}

int
fake_mkdir(struct xenio *x, xenio_tx tx, const char *path)
{
	struct fake_op op = { .kind = FAKE_OP_WRITE };

	return perform(x, tx, &op, path);
}

int
fake_rm(struct xenio *x, xenio_tx tx, const char *path)
{
	struct fake_op op = { .kind = FAKE_OP_RM };

	return perform(x, tx, &op, path);
}

int
fake_set_perms(struct xenio *x, xenio_tx tx, const char *path, const struct xenio_perm *perms,
	       unsigned int nb_perms)
{
	struct fake_op op = { .kind = FAKE_OP_PERMS, .nb_perms = nb_perms };

	if (nb_perms == 0 || nb_perms > FAKE_PERMS)
		return -EINVAL;
	memcpy(op.perm, perms, nb_perms * sizeof(*perms));
	return perform(x, tx, &op, path);
}

static bool
is_stale_locked(const struct xenio_fake *w, const struct fake_op *op)
{
	const struct fake_node *n = find_locked(w, op->path);

	return op->kind == FAKE_OP_READ && op->generation != (n != NULL ? n->generation : 0);
}

static int
end_locked(struct fake_handle *h, const struct fake_tx *t)
{
	int rc = 0;

	for (const struct fake_op *op = t->ops; op != NULL; op = op->next)
		if (is_stale_locked(h->w, op))
			return -EAGAIN;
	for (const struct fake_op *op = t->ops; op != NULL && rc == 0; op = op->next)
		rc = do_op_locked(h, op);
	return rc;
}

static int
read_locked(struct fake_handle *h, xenio_tx tx, char *path, char *value, size_t size)
{
	struct fake_tx *t = find_tx(h, tx);
	const struct fake_node *n = find_locked(h->w, path);
	const char *found = n != NULL ? n->value : NULL;

	if (h->muted)
		return -EIO;
	for (const struct fake_op *op = t != NULL ? t->ops : NULL; op != NULL; op = op->next)
		if (op->kind == FAKE_OP_WRITE && op->value != NULL && strcmp(op->path, path) == 0)
			found = op->value;
	if (!may(h, n != NULL ? n : find_nearest_locked(h->w, path), false))
		return -EACCES;
	if (t != NULL &&
	    defer(t, &(struct fake_op){ .kind = FAKE_OP_READ, .path = path,
					.generation = n != NULL ? n->generation : 0 }) < 0)
		return -ENOMEM;
	if (found == NULL)
		return -ENOENT;
	if (strlen(found) >= size)
		return -E2BIG;
	strcpy(value, found);
	return (int)strlen(found);
}

int
fake_read(struct xenio *x, xenio_tx tx, const char *path, char *value, size_t size)
{
	struct fake_handle *h = fake_handle_of(x);
	char full[XENIO_PATH_MAX];
	int rc = fake_resolve(h, path, full);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->w->lock);
	rc = read_locked(h, tx, full, value, size);
	pthread_mutex_unlock(&h->w->lock);
	return rc;
}

/* One block: the pointers, then the names. */
static int
list_locked(const struct xenio_fake *w, const char *dir, char ***names, unsigned int *nb_names)
{
	size_t len = strlen(dir), n = 0, bytes = 0, i = 0;
	char *text;

	for (const struct fake_node *node = w->nodes; node != NULL; node = node->next)
		if (fake_is_below(node->path, dir) && node->path[len] == '/' &&
		    strchr(node->path + len + 1, '/') == NULL) {
			n++;
			bytes += strlen(node->path + len + 1) + 1;
		}
	*names = malloc((n + 1) * sizeof(char *) + bytes);
	if (*names == NULL)
		return -ENOMEM;
	text = (char *)(*names + n + 1);
	for (const struct fake_node *node = w->nodes; node != NULL; node = node->next)
		if (fake_is_below(node->path, dir) && node->path[len] == '/' &&
		    strchr(node->path + len + 1, '/') == NULL) {
			(*names)[i++] = strcpy(text, node->path + len + 1);
			text += strlen(text) + 1;
		}
	*nb_names = (unsigned int)n;
	return 0;
}

int
fake_list(struct xenio *x, xenio_tx tx, const char *path, char ***names, unsigned int *nb_names)
{
	struct fake_handle *h = fake_handle_of(x);
	char full[XENIO_PATH_MAX];
	const struct fake_node *n;
	int rc = fake_resolve(h, path, full);

	(void)tx;
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&h->w->lock);
	n = find_locked(h->w, full);
	if (h->muted)
		rc = -EIO;
	else if (n == NULL)
		rc = -ENOENT;
	else
		rc = may(h, n, false) ? list_locked(h->w, full, names, nb_names) : -EACCES;
	pthread_mutex_unlock(&h->w->lock);
	return rc;
}

int
fake_tx_start(struct xenio *x, xenio_tx *tx)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_tx *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&h->w->lock);
	t->id = ++h->w->next_tx;
	t->next = h->txs;
	h->txs = t;
	*tx = t->id;
	pthread_mutex_unlock(&h->w->lock);
	return 0;
}

static void
free_tx(struct fake_tx *t)
{
	while (t->ops != NULL) {
		struct fake_op *op = t->ops;

		t->ops = op->next;
		free(op->path);
		free(op->value);
		free(op);
	}
	free(t);
}

int
fake_tx_end(struct xenio *x, xenio_tx tx, bool abort)
{
	struct fake_handle *h = fake_handle_of(x);
	struct fake_tx **p = &h->txs, *t;
	int rc = 0;

	pthread_mutex_lock(&h->w->lock);
	while (*p != NULL && (*p)->id != tx)
		p = &(*p)->next;
	t = *p;
	if (t == NULL) {
		pthread_mutex_unlock(&h->w->lock);
		return -EINVAL;
	}
	*p = t->next;
	if (h->muted) {
		rc = -EIO;
	} else if (!abort && h->w->conflicts > 0) {
		h->w->conflicts--;
		rc = -EAGAIN;
	} else if (!abort) {
		rc = end_locked(h, t);
	}
	pthread_mutex_unlock(&h->w->lock);
	free_tx(t);
	return rc;
}

void
fake_store_forget_locked(struct fake_handle *h)
{
	fake_watches_forget_locked(h);
	while (h->txs != NULL) {
		struct fake_tx *t = h->txs;

		h->txs = t->next;
		free_tx(t);
	}
}

int
fake_store_init(struct xenio_fake *w)
{
	const struct fake_handle dom0 = { .w = w };
	const struct fake_node nobody = { .nb_perms = 1 };
	struct fake_node *root;

	return create_locked(w, &dom0, "/", &nobody, &root);
}

void
fake_store_fini(struct xenio_fake *w)
{
	while (w->nodes != NULL) {
		struct fake_node *n = w->nodes;

		w->nodes = n->next;
		free(n->path);
		free(n->value);
		free(n);
	}
}
