/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Inside of the vfio-user client: one request at a time, its reply stays in client->rx until
 * vfio_user_call_end().
 */
#ifndef VFIO_USER_CLIENT_PRIV_H
#define VFIO_USER_CLIENT_PRIV_H

#include "vfio_user_client.h"
#include "vfio_user_wire.h"

#define VFIO_USER_CLIENT_REGIONS 9u /* of a PCI device */
#define VFIO_USER_CLIENT_AREAS \
	(sizeof(((struct vfio_user_client_region *)NULL)->area) / \
	 sizeof(((struct vfio_user_client_region *)NULL)->area[0]))

struct vfio_user_client {
	int fd;
	unsigned int timeout_ms;
	uint16_t next_id;
	bool broken;      /* the stream is lost, nothing works any more */
	uint32_t max_fds; /* the server takes in one message */
	int region_fd[VFIO_USER_CLIENT_REGIONS]; /* -1 or what region_info brought */
	struct vfio_user_rx rx;
};

struct vfio_user_call {
	uint16_t cmd;
	uint16_t max_reply_fds;
	const void *body; /* may be NULL */
	uint32_t body_len;
	uint32_t data_len; /* bytes after the body */
	const void *data;
	const int *fds;
	unsigned int nb_fds;
	uint32_t min_reply, max_reply; /* bytes of the reply's body */
};

/*
 * 0: the reply is in client->rx and must be given back by vfio_user_call_end().
 * Negative: an error reply, harmless; or -ETIMEDOUT, -EPROTO, -ECONNRESET ...: the client is
 * broken, its socket shut down, and later calls answer -ENOTCONN. Nothing to give back.
 */
int vfio_user_call(struct vfio_user_client *client, const struct vfio_user_call *call);
void vfio_user_call_end(struct vfio_user_client *client);
/* The server broke a rule: give up on it. Returns error. */
int vfio_user_client_fail(struct vfio_user_client *client, int error);

#endif /* VFIO_USER_CLIENT_PRIV_H */
