#!/bin/bash
#SBATCH --job-name=sis-serve
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --open-mode=append
#SBATCH --output=$root/sis-serve-%j.out
# SIGTERM to this shell 180 s before the walltime.
#SBATCH --signal=B:TERM@180
#
# sis serve $root --print slurm > sis-serve.sh; sbatch sis-serve.sh
# Before its walltime ends the job stops its campaigns, which leaves each exactly before or after a
# step, and hands over to a successor. `scancel --full` ends it for good: touch
# $root/.no-successor first.

stopping=0
daemon=
# Before the daemon starts: a signal that comes in between is not lost.
trap 'stopping=1; if [ -n "$$daemon" ]; then kill -TERM "$$daemon"; fi' TERM
"$program" serve "$root" $listen &
daemon=$$!
if [ "$$stopping" = 1 ]; then kill -TERM "$$daemon"; fi
wait "$$daemon"
code=$$?
# A trapped signal ends `wait` early: wait for the daemon itself.
while kill -0 "$$daemon" 2>/dev/null; do
  wait "$$daemon"
  code=$$?
done
if [ "$$stopping" = 1 ] && [ "$$code" = 3 ] && [ ! -e "$root/.no-successor" ]; then
  sbatch --dependency="afterany:$$SLURM_JOB_ID" "$root/sis-serve.sh"
fi
exit "$$code"
