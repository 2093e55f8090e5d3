"""Joins the files of bench/join.ts with polars and with Feast on its DuckDB offline store; one JSON line each.

Each tool runs in a process of its own: python join-peers.py FOLDER [tool]
"""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

SOURCES = {"payments": None, "visits": timedelta(days=7), "ratings": timedelta(days=1)}
FIELDS = ["amount", "kind"]


def polars(folder: Path) -> None:
    import polars as pl

    joined = pl.scan_parquet(folder / "spine.parquet").sort("predict_at")
    for name, ttl in SOURCES.items():
        events = (
            pl.scan_parquet(folder / f"{name}.parquet")
            .select("customer", "happened", *[pl.col(f).alias(f"{name}_{f}") for f in FIELDS])
            .sort("happened")
        )
        joined = joined.join_asof(
            events, left_on="predict_at", right_on="happened", by="customer", strategy="backward",
            tolerance=ttl, check_sortedness=False,
        ).drop("happened", strict=False)
    joined.sort("ask").collect().write_parquet(folder / "polars.parquet")


def polars_as_known(folder: Path) -> None:
    """The question that Refit answers: nothing that was not known yet, and what comes late never displaces a newer row."""
    import polars as pl

    joined = pl.scan_parquet(folder / "spine.parquet").sort("predict_at")
    for name, ttl in SOURCES.items():
        events = (
            pl.scan_parquet(folder / f"{name}.parquet")
            .select(
                "customer", "happened", pl.max_horizontal("happened", "recorded").alias("enters"),
                *[pl.col(f).alias(f"{name}_{f}") for f in FIELDS],
            )
            .sort("enters", "happened", *[f"{name}_{f}" for f in FIELDS])
            .filter(pl.col("happened") == pl.col("happened").cum_max().over("customer"))
        )
        joined = joined.join_asof(
            events, left_on="predict_at", right_on="enters", by="customer", strategy="backward", check_sortedness=False,
        )
        if ttl:
            fresh = pl.col("happened") >= pl.col("predict_at") - ttl
            joined = joined.with_columns(pl.when(fresh).then(pl.col(f"{name}_{f}")).alias(f"{name}_{f}") for f in FIELDS)
        joined = joined.drop("happened", "enters", strict=False)
    joined.sort("ask").collect().write_parquet(folder / "polars_as_known.parquet")


def feast(folder: Path) -> None:
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, RepoConfig, ValueType
    from feast.infra.offline_stores.duckdb import DuckDBOfflineStoreConfig
    from feast.infra.offline_stores.file_source import FileSource
    from feast.types import Float64

    os.chdir(folder)
    store = FeatureStore(
        config=RepoConfig(
            project="bench", provider="local", registry=str(folder / "registry.db"), entity_key_serialization_version=3,
            offline_store=DuckDBOfflineStoreConfig(), online_store=None,
        )
    )
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
    views = [
        FeatureView(
            name=name, entities=[customer], ttl=ttl or timedelta(0), online=False,
            schema=[Field(name=f, dtype=Float64) for f in FIELDS],
            source=FileSource(
                path=str(folder / f"{name}.parquet"), timestamp_field="happened", created_timestamp_column="recorded"
            ),
        )
        for name, ttl in SOURCES.items()
    ]
    store.apply([customer, *views])
    spine = pd.read_parquet(folder / "spine.parquet").rename(columns={"predict_at": "event_timestamp"})
    features = [f"{name}:{f}" for name in SOURCES for f in FIELDS]
    job = store.get_historical_features(spine, features, full_feature_names=True)
    job.to_df().sort_values("ask").to_parquet(folder / "feast.parquet")


def main() -> None:
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        tool, library = {
            "polars": (polars, "polars"),
            "polars_as_known": (polars_as_known, "polars"),
            "feast": (feast, "feast.infra.offline_stores.duckdb"),
        }[sys.argv[2]]
        # Loading the libraries is not counted.
        __import__(library)
        started, cpu = time.perf_counter(), time.process_time()
        tool(folder)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"name": sys.argv[2], "seconds": seconds, "cpuSeconds": cpu, "peakMb": peak}))
        return
    for tool in ["polars", "polars_as_known", "feast"]:
        subprocess.run([sys.executable, __file__, str(folder), tool], check=False)


main()
