/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Server of the public vfio-user protocol (QEMU, docs/interop/vfio-user.rst) for one device on one
 * socket. Knows PCI regions, irqs, DMA maps and resets as the protocol has them; knows nothing of
 * NFE. Every call is made on the thread that owns the server, except vfio_user_irq_fire().
 *
 * The owner polls vfio_user_server_fd() and vfio_user_conn_fd() and calls the process functions
 * when they are readable. One client at a time: a second one is answered EBUSY to its VERSION.
 */
#ifndef VFIO_USER_SERVER_H
#define VFIO_USER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VFIO_USER_MAX_REGIONS 9
#define VFIO_USER_MAX_IRQS 5
#define VFIO_USER_MAX_MMAPS 4
#define VFIO_USER_MAX_KICKS 2
#define VFIO_USER_MAX_VECTORS 2048

struct vfio_user_server; /* a listening socket, and at most one connection */

struct vfio_user_mmap_area { /* page-aligned, bytes from the start of the region */
	uint64_t offset;
	uint64_t size;
};

struct vfio_user_region {
	uint64_t size;  /* bytes; 0: the region does not exist */
	bool read, write;
	unsigned int nb_areas; /* > 0: mappable parts; fd then backs the region from byte 0 */
	struct vfio_user_mmap_area area[VFIO_USER_MAX_MMAPS];
	unsigned int nb_kicks; /* GET_REGION_IO_FDS offers an ioeventfd for writes to each range */
	struct vfio_user_mmap_area kick[VFIO_USER_MAX_KICKS]; /* any alignment; ops->kick_fd */
};

/* What the device has; copied at creation. */
struct vfio_user_device_info {
	struct vfio_user_region region[VFIO_USER_MAX_REGIONS]; /* as VFIO: 0..5 BARs, 7 config */
	uint32_t irq_count[VFIO_USER_MAX_IRQS]; /* VFIO numbering: 2 MSI-X, 3 error, ... */
};

/* Called on the owner's thread. Return 0 or a negative errno, which is sent to the client. */
struct vfio_user_server_ops {
	/* A client has negotiated its version. Gives the fd that backs mappable regions' bytes:
	 * one sealed memfd per connection per region index; -1 where nothing is mappable. */
	int (*connected)(void *ctx);
	void (*disconnected)(void *ctx, const char *why);
	/* Both stay owned by the device, which keeps them open until disconnected(). */
	int (*region_fd)(void *ctx, unsigned int region);
	/* eventfd of range kick[i] of the region */
	int (*kick_fd)(void *ctx, unsigned int region, unsigned int i);
	/* Trapped access, bounds already checked against the region. */
	int (*region_read)(void *ctx, unsigned int region, uint64_t offset, void *buf,
			   uint32_t count);
	int (*region_write)(void *ctx, unsigned int region, uint64_t offset, const void *buf,
			    uint32_t count);
	/* prot: bit 0 readable by the device, bit 1 writable. fd -1: a map without memory behind it
	 * (accepted, unreachable). The callee takes ownership of fd, also when it fails. */
	int (*dma_map)(void *ctx, uint64_t iova, uint64_t size, uint32_t prot, int fd,
		       uint64_t fd_offset);
	/* Returns after nobody uses the range any more. Range may hit 0..n maps. All there are:
	 * iova 0, size UINT64_MAX. */
	int (*dma_unmap)(void *ctx, uint64_t iova, uint64_t size);
	void (*reset)(void *ctx); /* VFIO_USER_DEVICE_RESET */
};

struct vfio_user_server_conf {
	const char *path; /* of the socket; a stale one (nobody listens) is replaced */
	unsigned int mode; /* permissions of the socket, for example 0660 */
	struct vfio_user_device_info info;
	const struct vfio_user_server_ops *ops;
	void *ctx;
};

/* Bind and listen. -EADDRINUSE when somebody listens on path already, -ENOTSOCK when path is
 * something else than a socket, -EINVAL when conf contradicts itself. */
int vfio_user_server_create(const struct vfio_user_server_conf *conf,
			    struct vfio_user_server **server);
/* Disconnect, close, unlink the socket if it is still ours. Not from inside a callback, and no
 * thread may fire interrupts any more. */
void vfio_user_server_destroy(struct vfio_user_server *server);

/* Readable when vfio_user_server_accept() has something to do: an epoll descriptor over the
 * listening socket, the connections that have not sent their VERSION, and the client while a reply
 * waits for it. The same for life. */
int vfio_user_server_fd(const struct vfio_user_server *server);
/* -1 while nobody is attached, while a reply waits because the client does not read, and while a
 * descriptor that a client sent is being closed: nothing is read from it then. Ask again after each
 * call of the process functions. Closed when ops->disconnected() has returned. */
int vfio_user_conn_fd(const struct vfio_user_server *server);

/* Go on with a reply that waits, and drop the client if it did for 2 s.
 * Accept who waits and attach who sent a good VERSION: ops->connected() is called from here, and
 * ops->disconnected() before it if the old client turns out to be dead. A connection may take 2 s
 * for its VERSION, four at a time. Returns 0 or a negative errno of accept4(); never blocks. */
int vfio_user_server_accept(struct vfio_user_server *server);
/* Handle at most one message. 0 handled or incomplete; < 0 the connection is over and
 * ops->disconnected() was called. Never blocks: a reply that the client does not take waits. */
int vfio_user_conn_process(struct vfio_user_server *server);
/* Close a file of guest memory that ops->dma_map() took, or refused: by a thread, since to free all its
 * pages takes long. While more than 16 are not closed yet no client is served. Also inside a callback. */
void vfio_user_server_close_memory(struct vfio_user_server *server, int fd);
/* Drop the client, as if it had hung up. why is logged. Inside a callback it takes effect, with
 * ops->disconnected(), when the message has been handled. */
void vfio_user_conn_close(struct vfio_user_server *server, const char *why);

/*
 * Signal vector of irq index 2 (MSI-X). Any thread; lock-free; never blocks, whatever the client
 * does to its eventfd (but see vfio_user_irq_prepare()). With no eventfd set the interrupt is
 * latched and delivered by the SET_IRQS that brings one. Returns false if it was latched, or if the
 * device has no such vector. DEVICE_RESET and a new client drop what is latched.
 */
bool vfio_user_irq_fire(struct vfio_user_server *server, unsigned int vector);
/* Optional: have the calling thread ready to fire. 0, or the negative errno that keeps kernel AIO
 * from it: its interrupts then work, but a hostile client may make them block. Worth a log line. */
int vfio_user_irq_prepare(void);

struct vfio_user_server_stats { /* since creation, by reason */
	uint64_t connections, refused_busy, refused_version;
	uint64_t messages, errors_sent;
	uint64_t bad_header, bad_size, bad_fds, bad_order, bad_command, bad_range, bad_json;
	uint64_t replies_waited; /* the client did not read fast enough */
	uint64_t dropped_unread; /* clients dropped because they did not read at all */
	uint64_t closed_late; /* times a descriptor of a client took 100 ms and more to close */
};
void vfio_user_server_stats(const struct vfio_user_server *server,
			    struct vfio_user_server_stats *stats);

#endif /* VFIO_USER_SERVER_H */
