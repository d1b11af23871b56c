/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Inside the configuration parser: the state of a run. vifsw_config.c cuts lines into words,
 * vifsw_keywords.c knows the keywords, vifsw_value.c the values of one word, vifsw_validate.c what
 * must hold between lines. A value function that fails has reported why.
 */
#ifndef VIFSW_PARSER_H
#define VIFSW_PARSER_H

#include "vifsw_config.h"

#define VIFSW_MAX_WORDS 160 /* "vif" with all options and 32 times "allow MAC" needs 84 */
#define VIFSW_MAX_KEYWORDS 64
#define VIFSW_SHOWN 40      /* characters of a wrong word in a message */

struct vifsw_parser {
	struct vifsw_config *config;
	unsigned int room_vifs; /* allocated in config->vifs */
	vifsw_config_error_fn error;
	void *ctx;
	unsigned int nb_errors;

	unsigned int line;
	char text[VIFSW_MAX_LINE + 1];
	char *word[VIFSW_MAX_WORDS];
	unsigned int nb_words, next;
	const struct vifsw_keyword *keyword; /* being parsed */
	uint64_t seen; /* keywords of this line, by number */

	unsigned int first_line[VIFSW_MAX_KEYWORDS]; /* of a statement, by keyword number */
	bool full; /* more VIFs than we keep, reported once */
	/* The line's subject while its options are parsed. */
	struct vifsw_vif vif;
	bool have_mac;
	unsigned int count;
	struct vifsw_uplink uplink;
};

/* printf-like; names the line. */
void vifsw_error(struct vifsw_parser *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void vifsw_error_at(struct vifsw_parser *p, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The rest of the line, options of that scope. What follows an unknown one can't be told apart: the
 * line ends there. */
void vifsw_options(struct vifsw_parser *p, unsigned int scope);
/* Next word of the line; NULL: none left, and that is reported as the keyword's missing value. */
const char *vifsw_take(struct vifsw_parser *p);

bool vifsw_value_number(struct vifsw_parser *p, const char *unit, uint64_t min, uint64_t max,
			uint64_t *value);
bool vifsw_value_octal(struct vifsw_parser *p, unsigned int max, unsigned int *value);
bool vifsw_value_on_off(struct vifsw_parser *p, bool *value);
bool vifsw_value_mac(struct vifsw_parser *p, const char *word, struct rte_ether_addr *mac);
bool vifsw_value_path(struct vifsw_parser *p, char path[VIFSW_PATH_MAX]);
/* A name of a port: letters, digits, '.', '_', '-', the first a letter or digit. */
bool vifsw_value_name(struct vifsw_parser *p, const char *word, char name[VSW_NAME_LEN]);

/* Append a VIF. False: reported, or out of memory. */
bool vifsw_config_add(struct vifsw_parser *p, const struct vifsw_vif *vif);
uint64_t vifsw_mac_number(const struct rte_ether_addr *mac);
/* After the last line: sockets get their default paths; names, addresses, paths and limits. */
void vifsw_validate(struct vifsw_parser *p);

#endif /* VIFSW_PARSER_H */
