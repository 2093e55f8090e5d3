"""Reads 200 entities x 20 features from Feast's Redis online store: online-feast.py FOLDER PORT READS. Prints the milliseconds."""

import json
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float32
from feast.value_type import ValueType

folder, port, reads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
count, names = 2_000, [f"f{i}" for i in range(20)]
frame = pd.DataFrame({"id": [f"user-{i * 100}" for i in range(count)]})
for k, name in enumerate(names):
    frame[name] = [((i * 31 + k) % 1000) / 7.0 for i in range(count)]
frame["event_timestamp"] = datetime.now(timezone.utc) - timedelta(hours=1)
frame.astype({name: "float32" for name in names}).to_parquet(folder / "feast.parquet")

user = Entity(name="user", join_keys=["id"], value_type=ValueType.STRING)
view = FeatureView(
    name="stats",
    entities=[user],
    ttl=timedelta(days=30),
    schema=[Field(name=name, dtype=Float32) for name in names],
    source=FileSource(path=str(folder / "feast.parquet"), timestamp_field="event_timestamp"),
)
store = FeatureStore(
    config=RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "redis", "connection_string": f"127.0.0.1:{port},db=1"},
        entity_key_serialization_version=3,
    )
)
store.apply([user, view])
store.write_to_online_store("stats", frame)
features = [f"stats:{name}" for name in names]
took = []
for i in range(reads + 20):
    rows = [{"id": f"user-{((i * 7919 + k * 31) % count) * 100}"} for k in range(200)]
    started = time.perf_counter()
    found = store.get_online_features(features=features, entity_rows=rows).to_dict()
    if i >= 20:
        took.append((time.perf_counter() - started) * 1000)
    assert found["f19"][0] is not None
print(json.dumps(took))
