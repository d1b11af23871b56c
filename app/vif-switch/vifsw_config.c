/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The parser: text to lines, lines to words, words to keywords (vifsw_keywords.c). See
 * vifsw_config.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vifsw_parser.h"

#define MAX_WORD 24 /* characters of a word for which we suggest a keyword */
#define MAX_TYPO 2  /* edits between the two */

static void
report(struct vifsw_parser *p, unsigned int line, const char *format, va_list args)
{
	char message[512];

	vsnprintf(message, sizeof(message), format, args);
	p->nb_errors++;
	p->error(p->ctx, line, message);
}

void
vifsw_error(struct vifsw_parser *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(p, p->line, format, args);
	va_end(args);
}

void
vifsw_error_at(struct vifsw_parser *p, unsigned int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(p, line, format, args);
	va_end(args);
}

bool
vifsw_config_add(struct vifsw_parser *p, const struct vifsw_vif *vif)
{
	struct vifsw_config *config = p->config;

	if (config->nb_vifs == VIFSW_MAX_VIFS) {
		if (!p->full)
			vifsw_error(p, "vif %s: more than %u VIFs", vif->port.name, VIFSW_MAX_VIFS);
		p->full = true;
		return false;
	}
	if (config->nb_vifs == p->room_vifs) {
		unsigned int room = p->room_vifs == 0 ? 16 : p->room_vifs * 2;
		struct vifsw_vif *vifs = realloc(config->vifs, room * sizeof(*vifs));

		if (vifs == NULL) {
			vifsw_error(p, "vif %s: no memory for %u VIFs", vif->port.name, room);
			return false;
		}
		config->vifs = vifs;
		p->room_vifs = room;
	}
	config->vifs[config->nb_vifs++] = *vif;
	return true;
}

static unsigned int
min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Letters added, left out, changed or swapped between two short words. */
static unsigned int
edits(const char *a, const char *b)
{
	unsigned int d[MAX_WORD][MAX_WORD], na = (unsigned int)strlen(a), nb = (unsigned int)strlen(b);

	if (na >= MAX_WORD || nb >= MAX_WORD)
		return UINT32_MAX;
	for (unsigned int i = 0; i <= na; i++)
		d[i][0] = i;
	for (unsigned int j = 0; j <= nb; j++)
		d[0][j] = j;
	for (unsigned int i = 1; i <= na; i++) {
		for (unsigned int j = 1; j <= nb; j++) {
			unsigned int n = min(d[i - 1][j], d[i][j - 1]) + 1;

			n = min(n, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				n = min(n, d[i - 2][j - 2] + 1);
			d[i][j] = n;
		}
	}
	return d[na][nb];
}

static void
unknown_keyword(struct vifsw_parser *p, const char *word, unsigned int scope)
{
	const char *what = scope == VIFSW_STATEMENT ? "statement" : "option", *of = "", *best = NULL;
	unsigned int distance, best_distance = MAX_TYPO + 1;
	const struct vifsw_keyword *k;
	bool elsewhere = false;

	if (scope != VIFSW_STATEMENT)
		of = scope == VIFSW_VIF_OPTION ? " of vif" :
		     scope == VIFSW_VIFS_OPTION ? " of vifs" : " of uplink";
	for (unsigned int i = 0; (k = vifsw_keyword(i)) != NULL; i++) {
		elsewhere |= strcmp(k->name, word) == 0;
		distance = (k->scopes & scope) != 0 ? edits(word, k->name) : UINT32_MAX;
		if (distance < best_distance) {
			best = k->name;
			best_distance = distance;
		}
	}
	if (elsewhere)
		vifsw_error(p, "\"%s\" is no %s%s", word, what, of);
	else if (best != NULL)
		vifsw_error(p, "unknown %s%s \"%.*s\", did you mean \"%s\"?", what, of, VIFSW_SHOWN,
			    word, best);
	else
		vifsw_error(p, "unknown %s%s \"%.*s\"", what, of, VIFSW_SHOWN, word);
}

static unsigned int
keyword_number(const struct vifsw_keyword *keyword)
{
	return (unsigned int)(keyword - vifsw_keyword(0));
}

static const struct vifsw_keyword *
find_keyword(struct vifsw_parser *p, const char *word, unsigned int scope)
{
	const struct vifsw_keyword *k;

	for (unsigned int i = 0; (k = vifsw_keyword(i)) != NULL; i++)
		if ((k->scopes & scope) != 0 && strcmp(k->name, word) == 0)
			return k;
	unknown_keyword(p, word, scope);
	return NULL;
}

void
vifsw_options(struct vifsw_parser *p, unsigned int scope)
{
	const struct vifsw_keyword *statement = p->keyword;

	while (p->next < p->nb_words) {
		const struct vifsw_keyword *keyword = find_keyword(p, vifsw_take(p), scope);
		uint64_t bit;

		if (keyword == NULL)
			break;
		bit = UINT64_C(1) << keyword_number(keyword);
		if ((p->seen & bit) != 0 && !keyword->repeat)
			vifsw_error(p, "%s given twice", keyword->name);
		p->seen |= bit;
		p->keyword = keyword;
		keyword->parse(p);
	}
	p->next = p->nb_words;
	p->keyword = statement;
}

static void
parse_words(struct vifsw_parser *p)
{
	const struct vifsw_keyword *keyword = find_keyword(p, p->word[0], VIFSW_STATEMENT);
	unsigned int *first, nb_errors = p->nb_errors;

	if (keyword == NULL)
		return;
	first = &p->first_line[keyword_number(keyword)];
	if (*first != 0 && !keyword->repeat)
		vifsw_error(p, "%s already given on line %u", keyword->name, *first);
	*first = p->line;
	p->keyword = keyword;
	p->next = 1;
	p->seen = 0;
	keyword->parse(p);
	if (p->next < p->nb_words && p->nb_errors == nb_errors)
		vifsw_error(p, "%s: unexpected \"%.*s\"", keyword->name, VIFSW_SHOWN,
			    p->word[p->next]);
}

/* Copies the line up to its comment and cuts it into words. */
static void
parse_line(struct vifsw_parser *p, const char *line, size_t len)
{
	const char *comment = memchr(line, '#', len);
	size_t used = comment != NULL ? (size_t)(comment - line) : len;
	char *save = NULL;

	if (len > VIFSW_MAX_LINE) {
		vifsw_error(p, "line of %zu characters, limit %u", len, VIFSW_MAX_LINE);
		return;
	}
	for (size_t i = 0; i < used; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c > '~' || (c < ' ' && c != '\t' && c != '\r')) {
			vifsw_error(p, "byte 0x%02x in column %zu is not printable ASCII", c, i + 1);
			return;
		}
	}
	memcpy(p->text, line, used);
	p->text[used] = '\0';
	p->nb_words = 0;
	for (char *word = strtok_r(p->text, " \t\r", &save); word != NULL;
	     word = strtok_r(NULL, " \t\r", &save)) {
		if (p->nb_words == VIFSW_MAX_WORDS) {
			vifsw_error(p, "more than %u words", VIFSW_MAX_WORDS);
			return;
		}
		p->word[p->nb_words++] = word;
	}
	if (p->nb_words > 0)
		parse_words(p);
}

static void
parse_text(struct vifsw_parser *p, const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end != NULL ? (size_t)(end - text) : len;

		p->line++;
		parse_line(p, text, line_len);
		if (end == NULL)
			break;
		text += line_len + 1;
		len -= line_len + 1;
	}
}

/* That of the command line: the limits are those of the statement. */
static void
set_socket_dir(struct vifsw_parser *p, const char *dir)
{
	struct vifsw_config *c = p->config;

	if (strlen(dir) >= sizeof(c->socket_dir))
		vifsw_error_at(p, 0, "socket directory of %zu characters, limit %u", strlen(dir),
			       VIFSW_PATH_MAX - 1);
	else if (dir[0] != '/')
		vifsw_error_at(p, 0, "socket directory \"%.*s\" is not an absolute path",
			       VIFSW_SHOWN, dir);
	else
		snprintf(c->socket_dir, sizeof(c->socket_dir), "%s", dir);
}

int
vifsw_config_parse(const char *text, size_t len, const char *socket_dir,
		   vifsw_config_error_fn error, void *ctx, struct vifsw_config **config)
{
	struct vifsw_parser *p = calloc(1, sizeof(*p));
	struct vifsw_config *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (p == NULL || c == NULL)
		goto out;
	snprintf(c->socket_dir, sizeof(c->socket_dir), "%s", VIFSW_DEFAULT_SOCKET_DIR);
	c->mode = VIFSW_DEFAULT_MODE;
	c->max_vifs = VIFSW_DEFAULT_MAX_VIFS;
	p->config = c;
	p->error = error;
	p->ctx = ctx;
	parse_text(p, text, len);
	if (socket_dir != NULL)
		set_socket_dir(p, socket_dir);
	vifsw_validate(p);
	rc = p->nb_errors != 0 ? -EINVAL : 0;
out:
	free(p);
	if (rc == 0)
		*config = c;
	else
		vifsw_config_free(c);
	return rc;
}

void
vifsw_config_free(struct vifsw_config *config)
{
	if (config == NULL)
		return;
	free(config->vifs);
	free(config);
}
