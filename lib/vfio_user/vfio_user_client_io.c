/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * A request and its reply, with one deadline for both. The reply is a stranger's: id, command,
 * type, size and descriptors are checked before anybody looks at it (rule 16). Whoever breaks a
 * rule is shut down, since after that nobody knows where the next message starts.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "vfio_user_client_priv.h"

#define MAX_ERRNO 4095u

int
vfio_user_client_fail(struct vfio_user_client *client, int error)
{
	/* The descriptor stays open: the driver polls it and sees POLLHUP. */
	client->broken = true;
	shutdown(client->fd, SHUT_RDWR);
	return error;
}

void
vfio_user_call_end(struct vfio_user_client *client)
{
	vfio_user_rx_reset(&client->rx);
}

static int
send_request(struct vfio_user_client *client, const struct vfio_user_call *call,
	     uint64_t deadline_ms)
{
	struct vfio_user_hdr hdr = {
		.id = client->next_id, .cmd = call->cmd,
		.size = (uint32_t)sizeof(hdr) + call->body_len + call->data_len,
		.flags = VFIO_USER_F_REQUEST,
	};
	struct iovec iov[3] = {
		{ &hdr, sizeof(hdr) },
		{ (void *)(uintptr_t)call->body, call->body_len },
		{ (void *)(uintptr_t)call->data, call->data_len },
	};

	return vfio_user_send(client->fd, iov, 3, call->fds, call->nb_fds, deadline_ms);
}

static int
receive_reply(struct vfio_user_client *client, const struct vfio_user_call *call,
	      uint64_t deadline_ms)
{
	int rc;

	client->rx.max_size = (uint32_t)sizeof(struct vfio_user_hdr) + call->max_reply;
	for (;;) {
		rc = vfio_user_rx_step(client->fd, &client->rx);
		if (rc == 1)
			return 0;
		if (rc == 0)
			rc = vfio_user_wait(client->fd, POLLIN, deadline_ms);
		if (rc == -ENOTCONN)
			return -ECONNRESET;
		if (rc == -EMSGSIZE)
			return -EPROTO;
		if (rc < 0)
			return rc;
	}
}

/* 0, the negative errno of an error reply in *refusal, or -EPROTO. */
static int
check_reply(const struct vfio_user_client *client, const struct vfio_user_call *call, int *refusal)
{
	const struct vfio_user_rx *rx = &client->rx;
	uint32_t len = vfio_user_rx_body_len(rx);

	*refusal = 0;
	if (rx->hdr.id != client->next_id || rx->hdr.cmd != call->cmd || rx->bad_fds)
		return -EPROTO;
	if (rx->hdr.flags == (VFIO_USER_F_REPLY | VFIO_USER_F_ERROR)) {
		*refusal = rx->hdr.error >= 1 && rx->hdr.error <= MAX_ERRNO ?
			   -(int)rx->hdr.error : -EIO;
		return len == 0 && rx->fds.n == 0 ? 0 : -EPROTO;
	}
	if (rx->hdr.flags != VFIO_USER_F_REPLY || rx->fds.n > call->max_reply_fds ||
	    len < call->min_reply)
		return -EPROTO;
	return 0;
}

int
vfio_user_call(struct vfio_user_client *client, const struct vfio_user_call *call)
{
	uint64_t deadline_ms = vfio_user_now_ms() + client->timeout_ms;
	int rc, refusal = 0;

	if (client->broken)
		return -ENOTCONN;
	client->next_id++;
	rc = send_request(client, call, deadline_ms);
	if (rc == 0)
		rc = receive_reply(client, call, deadline_ms);
	if (rc == 0)
		rc = check_reply(client, call, &refusal);
	if (rc < 0)
		rc = vfio_user_client_fail(client, rc == -EPIPE ? -ECONNRESET : rc);
	else
		rc = refusal;
	if (rc < 0)
		vfio_user_rx_reset(&client->rx);
	return rc;
}
