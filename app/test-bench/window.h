/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * What is measured, and when it counts. Time is cut into windows of a few milliseconds. A window is
 * clean if neither the guest thread nor the switch's data thread waited for a CPU in it, as the
 * kernel's own account (run delay, second field of schedstat) says, and if anything moved. It is
 * kept if the next one is clean too: the kernel accounts a wait when it ends, which may be later.
 */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct run_delay { /* of up to two threads */
	int fd[2];
	unsigned int nb;
};

/* The calling thread, and the one behind other_path (NULL: none). 0 or negative errno. */
int run_delay_open(struct run_delay *d, const char *other_path);
uint64_t run_delay_ns(const struct run_delay *d);
void run_delay_close(struct run_delay *d);

struct histogram; /* of cycles, to 3 % */
struct histogram *histogram_new(void);
void histogram_free(struct histogram *h);
void histogram_clear(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t cycles);
void histogram_copy(struct histogram *to, const struct histogram *from);
void histogram_merge(struct histogram *to, const struct histogram *from);
uint64_t histogram_count(const struct histogram *h);
/* "name": {"n", "p50", "p90", "p99", "p999", "max"} in nanoseconds. */
void histogram_print(FILE *out, const char *name, const struct histogram *h);

struct series { /* one value per kept window; if none was kept, of all */
	double *kept, *all;
	unsigned int nb_kept, nb_all, size;
};

int series_init(struct series *s, unsigned int size);
void series_fini(struct series *s);
/* "name": {"median", "p10", "p90"}; sorts. */
void series_print(FILE *out, const char *name, struct series *s);

#endif /* WINDOW_H */
