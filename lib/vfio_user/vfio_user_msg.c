/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * One message of the attached client: receive, check the header, have it handled, reply. Ends the
 * connection when the stream can't be trusted any more. On the owner's thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfio_user_server_priv.h"

int
vfio_user_check_request(struct vfio_user_server *server, const struct vfio_user_rx *rx)
{
	uint32_t flags = rx->hdr.flags;

	/* We send no requests, so a reply is as wrong as an unknown flag. */
	if ((flags & ~VFIO_USER_F_NO_REPLY) != VFIO_USER_F_REQUEST || rx->hdr.error != 0)
		return vfio_user_refuse(&server->stats.bad_header, -EINVAL);
	return 0;
}

/* Never answer a reply: two such servers would talk for ever. */
static bool
wants_reply(const struct vfio_user_hdr *request)
{
	return (request->flags & VFIO_USER_F_NO_REPLY) == 0 &&
	       (request->flags & VFIO_USER_F_TYPE) != VFIO_USER_F_REPLY;
}

int
vfio_user_send_reply(int sock, const struct vfio_user_hdr *request,
		     const struct vfio_user_reply *reply)
{
	struct vfio_user_hdr hdr = { .id = request->id, .cmd = request->cmd,
				     .size = sizeof(hdr) + reply->len,
				     .flags = VFIO_USER_F_REPLY };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { reply->data, reply->len } };

	if (!wants_reply(request))
		return 0;
	return vfio_user_send(sock, iov, reply->len > 0 ? 2 : 1, reply->fd, reply->nb_fds,
			      vfio_user_now_ms() + VFIO_USER_REPLY_MS);
}

int
vfio_user_send_error(struct vfio_user_server *server, int sock,
		     const struct vfio_user_hdr *request, int error)
{
	struct vfio_user_hdr hdr = { .id = request->id, .cmd = request->cmd,
				     .size = sizeof(hdr),
				     .flags = VFIO_USER_F_REPLY | VFIO_USER_F_ERROR,
				     .error = (uint32_t)-error };
	struct iovec iov = { &hdr, sizeof(hdr) };

	if (!wants_reply(request))
		return 0;
	server->stats.errors_sent++;
	return vfio_user_send(sock, &iov, 1, NULL, 0, vfio_user_now_ms() + VFIO_USER_REPLY_MS);
}

void
vfio_user_rx_failed(struct vfio_user_server *server, int sock, const struct vfio_user_rx *rx,
		    int error, char *why)
{
	if (error == -ENOTCONN) {
		snprintf(why, VFIO_USER_WHY_LEN, "client hung up");
	} else if (error == -EMSGSIZE) {
		server->stats.bad_size++;
		snprintf(why, VFIO_USER_WHY_LEN, "command %u of %u bytes, allowed are %zu to %u",
			 rx->hdr.cmd, rx->hdr.size, sizeof(rx->hdr), rx->max_size);
		vfio_user_send_error(server, sock, &rx->hdr, -EMSGSIZE);
	} else if (error == -ECONNRESET && rx->have > 0) {
		if (rx->have < sizeof(rx->hdr))
			server->stats.bad_header++;
		else
			server->stats.bad_size++;
		snprintf(why, VFIO_USER_WHY_LEN, "client hung up after %u bytes of a message",
			 rx->have);
	} else {
		snprintf(why, VFIO_USER_WHY_LEN, "receive: %s", strerror(-error));
	}
}

void
vfio_user_conn_drop(struct vfio_user_server *server, const char *why)
{
	struct vfio_user_conn *conn = server->conn;

	if (conn == NULL)
		return;
	server->in_callback = true;
	server->ops.disconnected(server->ctx, why);
	server->in_callback = false;
	server->close_pending = false;
	server->conn = NULL;
	/* If a thread is stuck in fire() the next attach tries again. */
	if (vfio_user_irq_clear_all(server) == 0)
		vfio_user_irq_clear_latches(server);
	vfio_user_conn_free(conn);
}

void
vfio_user_conn_close(struct vfio_user_server *server, const char *why)
{
	if (server->conn == NULL)
		return;
	if (!server->in_callback) {
		vfio_user_conn_drop(server, why);
		return;
	}
	/* A handler is on the stack and still uses the connection. */
	server->close_pending = true;
	snprintf(server->close_why, sizeof(server->close_why), "%s", why);
}

/* Handle the message that is complete in rx and reply. 0, or a negative errno of the reply. */
static int
dispatch(struct vfio_user_server *server, struct vfio_user_conn *conn)
{
	struct vfio_user_reply reply = { 0 };
	int rc;

	server->stats.messages++;
	rc = vfio_user_check_request(server, &conn->rx);
	if (rc == 0) {
		server->in_callback = true;
		rc = vfio_user_handle(server, &conn->rx, &reply);
		server->in_callback = false;
	}
	if (server->close_pending)
		rc = 0;
	else if (rc < 0)
		rc = vfio_user_send_error(server, conn->fd, &conn->rx.hdr, rc);
	else
		rc = vfio_user_send_reply(conn->fd, &conn->rx.hdr, &reply);
	if (reply.data != reply.small)
		free(reply.data);
	return rc;
}

int
vfio_user_conn_process(struct vfio_user_server *server)
{
	struct vfio_user_conn *conn = server->conn;
	char why[VFIO_USER_WHY_LEN];
	int rc;

	if (conn == NULL)
		return -ENOTCONN;
	rc = vfio_user_rx_step(conn->fd, &conn->rx);
	if (rc == 0)
		return 0;
	if (rc < 0) {
		vfio_user_rx_failed(server, conn->fd, &conn->rx, rc, why);
		vfio_user_conn_drop(server, why);
		return rc;
	}
	rc = dispatch(server, conn);
	vfio_user_rx_reset(&conn->rx);
	if (server->close_pending) {
		memcpy(why, server->close_why, sizeof(why));
		vfio_user_conn_drop(server, why);
		return -ECONNABORTED;
	}
	if (rc < 0) {
		snprintf(why, sizeof(why), "client does not take its replies: %s", strerror(-rc));
		vfio_user_conn_drop(server, why);
		return rc;
	}
	return 0;
}
