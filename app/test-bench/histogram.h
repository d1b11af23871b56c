/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Times of single frames, and values of windows, for their quantiles. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

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

struct series {
	double *value;
	unsigned int nb, size;
};

int series_init(struct series *s, unsigned int size);
void series_fini(struct series *s);
void series_add(struct series *s, double value);
/* "name": {"median", "p10", "p90"}; sorts. */
void series_print(FILE *out, const char *name, struct series *s);

#endif /* HISTOGRAM_H */
