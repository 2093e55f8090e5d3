#!/bin/sh
# Makes Temporal's two databases in PostgreSQL and brings their schemas up to date; run again, it changes nothing.
# SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN are read by temporal-sql-tool itself.
set -eu

bring_up_to_date() {
  temporal-sql-tool --database "$1" create-database
  # Says so on a database that has its version table already, and leaves it alone.
  temporal-sql-tool --database "$1" setup-schema --version 0.0
  temporal-sql-tool --database "$1" update-schema --schema-name "postgresql/v12/$2"
}

bring_up_to_date "${TEMPORAL_DATABASE:-temporal}" temporal
bring_up_to_date "${TEMPORAL_VISIBILITY_DATABASE:-temporal_visibility}" visibility
echo 'The schemas of Temporal are up to date.'
