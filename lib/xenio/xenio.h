/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What NFE needs of Xen, behind one small interface: xenstore, grants in both directions, event
 * channels, domain information, foreign mapping. Two implementations: xenio_real*.c on Debian's
 * libxen, and xenio_fake*.c, a little hypervisor within the process for tests and fuzzers.
 *
 * A handle belongs to whoever opened it. Calls may come from several threads, except that one
 * thread at a time takes watches, and one at a time the events of an event channel handle;
 * notify() may be called by any thread at any time. Requests to xenstore wait for xenstored, at most
 * 10 s, then fail with -EIO: never call them on a data lcore.
 *
 * Paths are absolute or relative to the own domain's directory. Errors are negative errno.
 */
#ifndef XENIO_H
#define XENIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XENIO_PAGE_SIZE 4096u
#define XENIO_PATH_MAX 128  /* bytes of a path that is ours, the final zero included */
#define XENIO_VALUE_MAX 256 /* likewise of a value */
#define XENIO_DOMID_MAX 0x7fefu /* above are the reserved ids */
#define XENIO_NO_PORT (-1)

struct xenio;
struct xenio_evt; /* an event channel handle: ports, and one descriptor for all of them */
typedef uint32_t xenio_tx;
#define XENIO_NO_TX 0u

struct xenio_perm { /* the first of a list: owner, and what all others may */
	uint16_t domid;
	bool read, write;
};

struct xenio_domain {
	uint16_t domid;
	bool dying;    /* destroyed, waits for its memory to be given back */
	bool shutdown; /* ended by itself, by a crash, or suspended */
	bool crashed;
	bool hvm;
	uint64_t nr_pages;
};

struct xenio_ops {
	const char *name;
	void (*close)(struct xenio *x);
	int (*domid)(struct xenio *x); /* own */
	/* Exclusive use of a name within this domain, until close() or the process's end. -EBUSY */
	int (*claim)(struct xenio *x, const char *name);

	/* xenstore. read: bytes of the value, which ends with a zero; -ENOENT, -EACCES, -E2BIG. */
	int (*read)(struct xenio *x, xenio_tx tx, const char *path, char *value, size_t size);
	int (*write)(struct xenio *x, xenio_tx tx, const char *path, const char *value);
	int (*mkdir)(struct xenio *x, xenio_tx tx, const char *path);
	int (*rm)(struct xenio *x, xenio_tx tx, const char *path);
	/* Names of the children; free the array as a whole. */
	int (*list)(struct xenio *x, xenio_tx tx, const char *path, char ***names,
		    unsigned int *nb_names);
	int (*set_perms)(struct xenio *x, xenio_tx tx, const char *path,
			 const struct xenio_perm *perms, unsigned int nb_perms);
	int (*tx_start)(struct xenio *x, xenio_tx *tx);
	int (*tx_end)(struct xenio *x, xenio_tx tx, bool abort); /* -EAGAIN: all of it again */
	int (*watch)(struct xenio *x, const char *path, const char *token);
	int (*unwatch)(struct xenio *x, const char *path, const char *token);
	int (*watch_fd)(struct xenio *x); /* readable: watches have fired */
	/* The next one that fired: 1, or 0 if none. A path that does not fit comes as "". */
	int (*watch_next)(struct xenio *x, char *path, size_t path_size, char *token,
			  size_t token_size);

	/* -ENOENT: no such domain. */
	int (*domain_info)(struct xenio *x, uint16_t domid, struct xenio_domain *info);

	/* Grants, offered: new zeroed pages side by side that domid may map. */
	int (*share)(struct xenio *x, uint16_t domid, unsigned int nb_pages, uint32_t *refs,
		     void **addr);
	void (*unshare)(struct xenio *x, void *addr, unsigned int nb_pages);
	/* Such pages anew, their grants being void since this domain was restored: other references,
	 * the same address and contents. Nobody may write to them meanwhile. When it fails they
	 * stay usable here, and it can be tried again. */
	int (*reshare)(struct xenio *x, uint16_t domid, void *addr, unsigned int nb_pages,
		       uint32_t *refs);
	/* One such page. When it is given back, however that happens, the byte becomes 0 and who is
	 * bound to the port of evt is notified; XENIO_NO_PORT: nobody. */
	int (*share_notify)(struct xenio *x, uint16_t domid, uint32_t byte_offset,
			    struct xenio_evt *evt, int port, uint32_t *ref, void **addr);
	/* Grants, taken: pages of domid side by side, to read and write. */
	int (*map)(struct xenio *x, uint16_t domid, const uint32_t *refs, unsigned int nb_pages,
		   void **addr);
	/* One page. When the mapping ends, however that happens, the byte becomes 0 and the port
	 * of evt is notified. */
	int (*map_notify)(struct xenio *x, uint16_t domid, uint32_t ref, uint32_t byte_offset,
			  struct xenio_evt *evt, int port, void **addr);
	void (*unmap)(struct xenio *x, void *addr, unsigned int nb_pages);
	/* Pages that domid did not grant; privileged. -EOPNOTSUPP in an unprivileged build. */
	int (*foreign_map)(struct xenio *x, uint16_t domid, const uint64_t *gfns,
			   unsigned int nb_pages, void **addr);
	void (*foreign_unmap)(struct xenio *x, void *addr, unsigned int nb_pages);

	/* Event channels. */
	int (*evt_open)(struct xenio *x, struct xenio_evt **evt);
	void (*evt_close)(struct xenio_evt *evt); /* and all its ports */
	int (*evt_fd)(struct xenio_evt *evt);     /* readable: pending() has something */
	int (*evt_unbound)(struct xenio_evt *evt, uint16_t domid); /* port that domid may bind */
	int (*evt_bind)(struct xenio_evt *evt, uint16_t domid, uint32_t remote_port); /* port */
	void (*evt_unbind)(struct xenio_evt *evt, int port);
	int (*evt_notify)(struct xenio_evt *evt, int port); /* any thread; never blocks long */
	/* A port that was notified, -EAGAIN if none; it stays silent until unmask(). */
	int (*evt_pending)(struct xenio_evt *evt);
	int (*evt_unmask)(struct xenio_evt *evt, int port);
};

struct xenio { /* first member of each implementation's own structure */
	const struct xenio_ops *ops;
};
struct xenio_evt { /* likewise */
	struct xenio *x;
};

/*
 * Xen as this process sees it. -ENOSYS: built without libxen; -ENODEV: this is no Xen domain, or
 * its devices are missing. Tests put their own in place with xenio_open_with(), NULL undoes that.
 */
int xenio_open(struct xenio **x);
typedef int (*xenio_open_fn)(void *arg, struct xenio **x);
void xenio_open_with(xenio_open_fn fn, void *arg);
/* What an error of xenio_open() means, for a message. */
const char *xenio_open_error(int rc);

/* The same with the rights of dom0: full domain information and foreign mapping. */
int xenio_open_privileged(struct xenio **x);

/* --- Helpers over any implementation (xenio.c) --- */

/* One value of "dir/key". */
int xenio_read(struct xenio *x, const char *dir, const char *key, char *value, size_t size);
/* A number, decimal or with 0x, nothing around it. -EINVAL: something else; -ERANGE: beyond 32
 * bits; or as read. */
int xenio_read_u32(struct xenio *x, const char *dir, const char *key, uint32_t *value);
int xenio_parse_u32(const char *text, uint32_t *value);
int xenio_write(struct xenio *x, xenio_tx tx, const char *dir, const char *key, const char *format,
		...) __attribute__((format(printf, 5, 6)));
/* Run fn in a transaction, again when somebody got between, 100 times at most. */
int xenio_transact(struct xenio *x, int (*fn)(struct xenio *x, xenio_tx tx, void *arg), void *arg);

/* Used by the implementations: real (unprivileged). */
int xenio_real_open(struct xenio **x);

#endif /* XENIO_H */
