#!/bin/bash
# Starts a process type of the slug, `web` where none is named, or any other command, as a dyno does.
name=${1:-web}
if [ $# -le 1 ] && [[ $name != */* ]] && [ -r "/slugline/process/$name" ]; then
  command=$(< "/slugline/process/$name")
elif [ $# -eq 0 ]; then
  echo "slugline: there is no process type web; name one: $(cd /slugline/process && echo *)" >&2
  exit 127
elif [ $# -eq 1 ]; then
  command=$1 name=run
else
  # Several words are what a shell made of them already.
  printf -v command '%q ' "$@"
  name=run
fi
export HOME=/app DYNO="${DYNO:-$name.1}"
cd /app || exit
exec /bin/bash --norc --noprofile -c 'PROFILE' bash "$command"
