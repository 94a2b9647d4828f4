#!/usr/bin/env bash
# An environment variable of the Hub's client that is set to nothing is not one that is unset.
#
# Guessed: HF_HOME= and HF_HUB_CACHE= (as env files and Dockerfiles have them for "the default") mean the default,
#          ~/.cache/huggingface/hub, as the XDG specification demands of XDG_CACHE_HOME ("either not set or empty").
# True:    huggingface_hub 2.4.0 reads them with os.getenv(NAME, default), which gives "". The cache is then a path
#          relative to the working directory: ./hub for HF_HOME=, the working directory itself for HF_HUB_CACHE=,
#          ./huggingface/hub for XDG_CACHE_HOME=. And $VAR in HF_HOME is expanded twice, in HF_HUB_CACHE once.
# Seen:    HF_HOME= -> hub, HF_HUB_CACHE= -> (nothing), XDG_CACHE_HOME= -> huggingface/hub
# Matters: models are downloaded again for every directory that a program is started in, and a tool that takes
#          empty for unset looks in another place than the client downloads to.
set -euo pipefail
. "$(dirname "$0")/venv" huggingface_hub==2.4.0
cache() {
	env -i PATH="$PATH" HOME=/home/me V=\$W W=/w "$@" \
		"$python" -c 'from huggingface_hub import constants; print(constants.HF_HUB_CACHE)'
}
expect() {
	local want=$1 got
	shift
	got=$(cache "$@")
	echo "${*:-nothing set} -> $got"
	[[ $got == "$want" ]] || { echo "expected $want"; exit 1; }
}
expect /home/me/.cache/huggingface/hub
expect hub HF_HOME=
expect "" HF_HUB_CACHE=
expect huggingface/hub XDG_CACHE_HOME=
expect /w/hub 'HF_HOME=$V'
expect '$W' 'HF_HUB_CACHE=$V'
