/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of chatd-modtrain.  Each gets its own arguments, argv[0] is the
 * command's name.  Each reports its errors on the standard error output and
 * returns an exit status.
 */
#ifndef MODTRAIN_H
#define MODTRAIN_H

#define MODTRAIN_OK	0
#define MODTRAIN_FAILED	1
#define MODTRAIN_USAGE	2	/* wrong arguments */
#define MODTRAIN_NOTHING	3	/* no rows to measure with */

int	modtrain_generate(int argc, char **argv);
int	modtrain_train(int argc, char **argv);
int	modtrain_test(int argc, char **argv);

#endif
