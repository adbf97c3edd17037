#!/bin/sh
# Assembles what runs from wherever it is copied to: the program, and beside it DuckDB's library and extensions.
# usage: assemble.sh PROGRAM DUCKDB FOLDER
set -eu
program=$1 duckdb=$2 folder=$3
mkdir -p "$folder/bin" "$folder/lib"
cp "$program" "$folder/bin/gadwall"
cp -R "$duckdb"/lib/libduckdb.* "$duckdb/extensions" "$folder/lib/"
cp "$(dirname "$0")/../LICENSE" "$folder/"
