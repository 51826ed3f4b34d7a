#!/bin/sh
# Turn each Markdown file of the workspace into a page of the site.
set -eu
for page in /*.md; do
    [ -e "$page" ] || continue
    python -m markdown "$page" >"/site/$(basename "$page" .md).html"
done
echo "published to $TEAM_SITE"
