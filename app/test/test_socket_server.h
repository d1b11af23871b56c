/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The real device end behind a real socket, for suites of host ends. A thread of its own serves
 * requests and takes turns of the suite's data path; it sleeps when there is nothing to do, so a
 * lost kick shows as a time-out. It can be ended and started again, as often as the test likes.
 */
#ifndef TEST_SOCKET_SERVER_H
#define TEST_SOCKET_SERVER_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <nfed_vfio_user.h>

#include "test.h"

#define SOCKET_SERVER_SLEEP_MS 10000 /* longer than anybody waits for it */

struct socket_server { /* first member of the suite's own */
	char path[64], address[80];
	struct nfed_function_conf function;
	bool (*turn)(struct socket_server *s); /* of the data path; true: there is more to do */
	struct nfed_loop *loop;
	struct nfed_vfio_user *att;
	pthread_t thread;
	int stop_fd;
	bool stop; /* atomic */
};

static inline void
socket_server_name(struct socket_server *s, const char *suite)
{
	snprintf(s->path, sizeof(s->path), "/tmp/nfe-test-%s-%d.sock", suite, (int)getpid());
	snprintf(s->address, sizeof(s->address), "vfio-user:%s", s->path);
}

/* For owner_ops.quiesce: the data path runs on the thread that asks. */
static inline void
socket_server_quiesce(void *owner)
{
	(void)owner;
}

/* The loop turns, and looks: what is read tells nothing. */
static inline void
socket_server_awake(void *arg, uint32_t events)
{
	(void)arg;
	(void)events;
}

static inline void *
socket_server_run(void *arg)
{
	struct socket_server *s = arg;

	nfed_loop_add(s->loop, nfed_vfio_user_data_kick_fd(s->att), EPOLLIN | EPOLLET,
		      socket_server_awake, NULL);
	nfed_loop_add(s->loop, s->stop_fd, EPOLLIN | EPOLLET, socket_server_awake, NULL);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
		nfed_loop_run(s->loop, s->turn(s) ? 0 : SOCKET_SERVER_SLEEP_MS);
	nfed_loop_del(s->loop, nfed_vfio_user_data_kick_fd(s->att));
	nfed_loop_del(s->loop, s->stop_fd);
	return NULL;
}

static inline int
socket_server_create(struct socket_server *s)
{
	struct nfed_vfio_user_conf conf = { .path = s->path, .mode = 0600 };

	s->stop = false;
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->loop = nfed_loop_create();
	TEST_TRUE(s->stop_fd >= 0 && s->loop != NULL);
	conf.loop = s->loop;
	conf.function = s->function;
	TEST_EQ(nfed_vfio_user_create(&conf, &s->att), 0);
	nfed_function_set_link(nfed_vfio_user_function(s->att), true);
	return TEST_OK;
}

static inline int
socket_server_start(struct socket_server *s)
{
	TEST_EQ(socket_server_create(s), TEST_OK);
	TEST_EQ(pthread_create(&s->thread, NULL, socket_server_run, s), 0);
	return TEST_OK;
}

/* The thread ends; its device is there still, as it was left. */
static inline void
socket_server_halt(struct socket_server *s)
{
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	if (eventfd_write(s->stop_fd, 1) < 0)
		printf("# cannot wake the server\n");
	pthread_join(s->thread, NULL);
}

static inline void
socket_server_destroy(struct socket_server *s)
{
	nfed_vfio_user_destroy(s->att);
	nfed_loop_destroy(s->loop);
	close(s->stop_fd);
}

static inline void
socket_server_stop(struct socket_server *s)
{
	socket_server_halt(s);
	socket_server_destroy(s);
}

#endif /* TEST_SOCKET_SERVER_H */
