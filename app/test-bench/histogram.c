/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* See histogram.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "histogram.h"

#define HIST_SUB_LOG2 5u /* 32 steps per power of two: 3 % */
#define HIST_SUB (1u << HIST_SUB_LOG2)
#define HIST_BINS ((64 - HIST_SUB_LOG2) * HIST_SUB)

struct histogram {
	uint64_t n, max;
	uint64_t bin[HIST_BINS];
};

struct histogram *
histogram_new(void)
{
	return calloc(1, sizeof(struct histogram));
}

void
histogram_free(struct histogram *h)
{
	free(h);
}

void
histogram_clear(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

static unsigned int
bin_of(uint64_t v)
{
	unsigned int shift;

	if (v < HIST_SUB)
		return (unsigned int)v;
	shift = 63 - (unsigned int)__builtin_clzll(v) - HIST_SUB_LOG2;
	return (shift + 1) * HIST_SUB + (unsigned int)((v >> shift) - HIST_SUB);
}

/* First value of the bin. */
static uint64_t
bin_start(unsigned int bin)
{
	if (bin < HIST_SUB)
		return bin;
	return (uint64_t)(bin % HIST_SUB + HIST_SUB) << (bin / HIST_SUB - 1);
}

void
histogram_add(struct histogram *h, uint64_t cycles)
{
	h->bin[bin_of(cycles)]++;
	h->n++;
	if (cycles > h->max)
		h->max = cycles;
}

void
histogram_copy(struct histogram *to, const struct histogram *from)
{
	memcpy(to, from, sizeof(*to));
}

void
histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (unsigned int i = 0; i < HIST_BINS; i++)
		to->bin[i] += from->bin[i];
	to->n += from->n;
	if (from->max > to->max)
		to->max = from->max;
}

uint64_t
histogram_count(const struct histogram *h)
{
	return h->n;
}

static double
to_ns(double cycles)
{
	return cycles * 1e9 / (double)rte_get_tsc_hz();
}

/* Values of a bin are taken as spread evenly over it: a median moves by less than a bin. */
static double
quantile_ns(const struct histogram *h, double q)
{
	double want = (double)h->n * q, seen = 0;

	for (unsigned int i = 0; i + 1 < HIST_BINS; seen += (double)h->bin[i++]) {
		double start = (double)bin_start(i), width = (double)bin_start(i + 1) - start;

		if (seen + (double)h->bin[i] > want)
			return to_ns(start + width * (want - seen) / (double)h->bin[i]);
	}
	return to_ns((double)h->max);
}

void
histogram_print(FILE *out, const char *name, const struct histogram *h)
{
	fprintf(out, "\"%s\": ", name);
	if (h->n == 0) {
		fprintf(out, "null");
		return;
	}
	fprintf(out, "{\"n\": %lu, \"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, \"p999\": %.0f, "
		     "\"max\": %.0f}",
		(unsigned long)h->n, quantile_ns(h, 0.5), quantile_ns(h, 0.9), quantile_ns(h, 0.99),
		quantile_ns(h, 0.999), to_ns((double)h->max));
}

int
series_init(struct series *s, unsigned int size)
{
	s->nb = 0;
	s->size = size;
	s->value = calloc(size, sizeof(*s->value));
	return s->value != NULL ? 0 : -ENOMEM;
}

void
series_fini(struct series *s)
{
	free(s->value);
	s->value = NULL;
}

void
series_add(struct series *s, double value)
{
	if (s->nb < s->size)
		s->value[s->nb++] = value;
}

static int
compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void
series_print(FILE *out, const char *name, struct series *s)
{
	if (s->nb == 0) {
		fprintf(out, "\"%s\": null", name);
		return;
	}
	qsort(s->value, s->nb, sizeof(*s->value), compare);
	fprintf(out, "\"%s\": {\"median\": %.4f, \"p10\": %.4f, \"p90\": %.4f}", name,
		s->value[s->nb / 2], s->value[s->nb / 10], s->value[s->nb * 9 / 10]);
}
