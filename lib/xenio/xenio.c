/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What is common to all implementations of xenio.h: which one is opened, and helpers for values.
 * Called on the control threads of both ends. Values come from the peer: parsed strictly.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xenio.h"

#define MAX_TRIES 100

static xenio_open_fn open_fn;
static void *open_arg;

void
xenio_open_with(xenio_open_fn fn, void *arg)
{
	open_fn = fn;
	open_arg = arg;
}

int
xenio_open(struct xenio **x)
{
	if (open_fn != NULL)
		return open_fn(open_arg, x);
#ifdef XENIO_HAVE_LIBXEN
	return xenio_real_open(x);
#else
	return -ENOSYS;
#endif
}

const char *
xenio_open_error(int rc)
{
	switch (rc) {
	case -ENOSYS:
		return "this program was built without Xen (libxen-dev was missing)";
	case -ENODEV:
		return "no Xen here: xenstore, /dev/xen/evtchn, gntdev or gntalloc is missing";
	default:
		return strerror(-rc);
	}
}

/* "dir/key" in path[XENIO_PATH_MAX]. */
static int
join(char *path, const char *dir, const char *key)
{
	int n = snprintf(path, XENIO_PATH_MAX, "%s/%s", dir, key);

	return n < 0 || n >= XENIO_PATH_MAX ? -ENAMETOOLONG : 0;
}

int
xenio_read(struct xenio *x, const char *dir, const char *key, char *value, size_t size)
{
	char path[XENIO_PATH_MAX];
	int rc = join(path, dir, key);

	return rc < 0 ? rc : x->ops->read(x, XENIO_NO_TX, path, value, size);
}

static int
digit_of(char c, unsigned int base)
{
	int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

	return d < (int)base ? d : -1;
}

int
xenio_parse_u32(const char *text, uint32_t *value)
{
	unsigned int base = 10;
	uint64_t v = 0;

	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
	}
	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		int d = digit_of(*text, base);

		if (d < 0)
			return -EINVAL;
		v = v * base + (unsigned int)d;
		if (v > UINT32_MAX)
			return -ERANGE;
	}
	*value = (uint32_t)v;
	return 0;
}

int
xenio_read_u32(struct xenio *x, const char *dir, const char *key, uint32_t *value)
{
	char text[16];
	int rc = xenio_read(x, dir, key, text, sizeof(text));

	if (rc == -E2BIG || (rc >= 0 && strlen(text) != (size_t)rc))
		return -EINVAL; /* longer than any number, or a zero within */
	return rc < 0 ? rc : xenio_parse_u32(text, value);
}

int
xenio_write(struct xenio *x, xenio_tx tx, const char *dir, const char *key, const char *format, ...)
{
	char path[XENIO_PATH_MAX], value[XENIO_VALUE_MAX];
	va_list ap;
	int rc = join(path, dir, key);

	va_start(ap, format);
	vsnprintf(value, sizeof(value), format, ap);
	va_end(ap);
	return rc < 0 ? rc : x->ops->write(x, tx, path, value);
}

int
xenio_transact(struct xenio *x, int (*fn)(struct xenio *x, xenio_tx tx, void *arg), void *arg)
{
	int rc = -EAGAIN;

	for (unsigned int i = 0; i < MAX_TRIES && rc == -EAGAIN; i++) {
		xenio_tx tx;

		rc = x->ops->tx_start(x, &tx);
		if (rc < 0)
			return rc;
		rc = fn(x, tx, arg);
		if (rc < 0) {
			x->ops->tx_end(x, tx, true);
			return rc;
		}
		rc = x->ops->tx_end(x, tx, false);
	}
	return rc;
}
