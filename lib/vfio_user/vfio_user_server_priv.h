/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Inside of the vfio-user server. Only vfio_user_irq_fire() runs on other threads than the owner's.
 *
 *   accept ──► waiting (at most 4, 2 s) ── VERSION ──► attached (at most one) ──► gone
 *                  └── wrong, late, or somebody is attached: error reply, closed
 */
#ifndef VFIO_USER_SERVER_PRIV_H
#define VFIO_USER_SERVER_PRIV_H

#include "vfio_user_server.h"
#include "vfio_user_wire.h"

#define VFIO_USER_MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define VFIO_USER_MAX_WAITING 4u    /* connections that have not sent their VERSION */
#define VFIO_USER_WAITING_MS 2000u  /* they may stay that long */
#define VFIO_USER_REPLY_MS 2000u    /* a client that does not read its reply is dropped */
#define VFIO_USER_MAX_MEMORY 16u    /* files of memory being closed while clients are served */
#define VFIO_USER_DRAIN_MS 100u     /* for an interrupt that is being signalled */
#define VFIO_USER_WHY_LEN 128u

/* The rest of a reply that the socket did not take: while there is one, no request is read. */
struct vfio_user_tx {
	uint8_t *data; /* allocated; NULL: none */
	size_t len, sent;
	uint64_t deadline_ms;
	unsigned int nb_fds; /* not yet sent; they stay the device's, open until disconnected() */
	int fd[VFIO_USER_MAX_KICKS];
};

struct vfio_user_conn {
	int fd;
	uint64_t deadline_ms; /* while waiting */
	uint64_t max_fds; /* descriptors that the client takes in one message */
	struct vfio_user_rx rx;
	struct vfio_user_tx tx;
};

/* One interrupt vector: all in one word, so that fire() decides by one compare-and-swap. */
struct vfio_user_vector {
	uint64_t word; /* 31:0 eventfd + 1, 0 none; 32 latched; 63:33 threads signalling it */
};

struct vfio_user_server {
	char *path;
	dev_t dev; /* of the socket file, so that only our own is unlinked */
	ino_t ino;
	int listen_fd;
	int epoll_fd; /* listen_fd, timer_fd, waiting connections, one whose reply waits: see owner */
	int timer_fd; /* ends the wait of silent connections, of replies, and accept_paused */
	bool accept_paused; /* out of descriptors: the listening socket is not polled for a while */
	struct vfio_user_closer *closer, *memory_closer;
	bool closing;       /* they are busy: nothing is polled but the timer */
	uint64_t closing_ms; /* since when; 0: not known yet */
	bool closing_long;  /* counted */
	struct vfio_user_device_info info;
	struct vfio_user_server_ops ops;
	void *ctx;

	struct vfio_user_conn *waiting[VFIO_USER_MAX_WAITING]; /* oldest first */
	unsigned int nb_waiting;
	struct vfio_user_conn *conn; /* attached */
	bool in_callback;            /* then a close is put off, close_why is set */
	bool close_pending;
	char close_why[VFIO_USER_WHY_LEN];

	struct vfio_user_vector *vector; /* info.irq_count[VFIO_USER_MSIX] of them */
	struct vfio_user_server_stats stats;
};

static_assert(VFIO_USER_MAX_KICKS <= VFIO_USER_MAX_FDS, "one reply carries all");

/* What a command handler answers. data is zero when a handler gets it (rule 20). */
struct vfio_user_reply {
	uint8_t *data; /* small or allocated */
	uint32_t len;
	unsigned int nb_fds;
	int fd[VFIO_USER_MAX_KICKS]; /* sent along, stay their owners' */
	uint8_t small[VFIO_USER_INLINE_BODY] __attribute__((aligned(8)));
};

/* Count a refusal and give the errno that the client gets. */
static inline int
vfio_user_refuse(uint64_t *counter, int error)
{
	(*counter)++;
	return error;
}

/* Has a client left too much to be closed for any to be served? */
static inline bool
vfio_user_server_closing(const struct vfio_user_server *server)
{
	return vfio_user_closer_busy(server->closer) ||
	       vfio_user_closer_busy(server->memory_closer);
}

/* vfio_user_server.c */
struct vfio_user_conn *vfio_user_conn_new(struct vfio_user_server *server, int fd, uint32_t max_size);
void vfio_user_conn_free(struct vfio_user_conn *conn);

/* vfio_user_accept.c */
/* Take over a connected stream socket, as if it had been accepted (also for the fuzzer). */
int vfio_user_server_adopt(struct vfio_user_server *server, int fd);
void vfio_user_waiting_close(struct vfio_user_server *server);
/* For the first of the deadlines. */
void vfio_user_arm_timer(struct vfio_user_server *server);

/* vfio_user_caps.c */
/* Check the VERSION request that conn has received. 0 or a negative errno, counted. */
int vfio_user_caps_check(struct vfio_user_server *server, struct vfio_user_conn *conn);
extern const char vfio_user_caps_reply[]; /* our JSON */

/* vfio_user_msg.c */
int vfio_user_check_request(struct vfio_user_server *server, const struct vfio_user_rx *rx);
/* Reply, or nothing if the request wants none. Never waits: what the client does not take now is
 * kept in the connection. 0 or a negative errno. */
int vfio_user_send_reply(struct vfio_user_server *server, struct vfio_user_conn *conn,
			 const struct vfio_user_hdr *request, const struct vfio_user_reply *reply);
int vfio_user_send_error(struct vfio_user_server *server, struct vfio_user_conn *conn,
			 const struct vfio_user_hdr *request, int error);
/* Go on with the reply that waits; ends the connection when it is too late. */
void vfio_user_conn_flush(struct vfio_user_server *server);
/* Words for disconnected(), and the counter, of a failed vfio_user_rx_step(). */
void vfio_user_rx_failed(struct vfio_user_server *server, struct vfio_user_conn *conn, int error,
			 char *why);
/* End the attached connection; why may be overridden by a close from inside a callback. */
void vfio_user_conn_drop(struct vfio_user_server *server, const char *why);

/* vfio_user_handlers.c */
int vfio_user_handle(struct vfio_user_server *server, struct vfio_user_rx *rx,
		     struct vfio_user_reply *reply);
void *vfio_user_reply_room(struct vfio_user_reply *reply, uint32_t len); /* NULL: no memory */

/* vfio_user_irq.c */
int vfio_user_irq_init(struct vfio_user_server *server);
void vfio_user_irq_fini(struct vfio_user_server *server);
/* Forget all eventfds; -EBUSY if a thread stays inside fire(). */
int vfio_user_irq_clear_all(struct vfio_user_server *server);
void vfio_user_irq_clear_latches(struct vfio_user_server *server);
int vfio_user_irq_set(struct vfio_user_server *server, struct vfio_user_rx *rx); /* SET_IRQS */

#endif /* VFIO_USER_SERVER_PRIV_H */
