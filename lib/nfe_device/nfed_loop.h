/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Event loop of the control thread: file descriptors with callbacks over epoll. A callback may
 * add and remove any descriptor, its own included.
 */
#ifndef NFED_LOOP_H
#define NFED_LOOP_H

#include <stdint.h>

struct nfed_loop;
typedef void (*nfed_loop_fn)(void *arg, uint32_t events); /* EPOLLIN ... */

struct nfed_loop *nfed_loop_create(void); /* NULL: errno says why */
void nfed_loop_destroy(struct nfed_loop *loop);
int nfed_loop_add(struct nfed_loop *loop, int fd, uint32_t events, nfed_loop_fn fn, void *arg);
void nfed_loop_del(struct nfed_loop *loop, int fd);
/* Wait up to timeout_ms (-1: for ever) and run what is ready. Returns callbacks run, or -errno. */
int nfed_loop_run(struct nfed_loop *loop, int timeout_ms);

#endif /* NFED_LOOP_H */
