"""Named arrays in Parquet: a row for each first index, written as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsim_env.errors import DataError
from recsim_env.files import whole
from recsim_env.resources import total_memory

SHAPES = b"recsim_env.shapes"
GROUP = 4_000_000  # numbers that are written at once, so that small parts become no small row groups
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4}  # bytes of a number; of others 8

Arrays = Mapping[str, np.ndarray]


def write_arrays(path: Path, parts: Iterable[Arrays]) -> int:
    """Write parts, which have the same names, one after another; the file is whole or absent.

    Returns:
        The rows written.

    Raises:
        DataError: there was nothing to write.
    """
    writer, rows = None, 0
    with whole(path) as aside, ExitStack() as stack:
        for part in in_groups(parts):
            table = table_of(part)
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(aside, table.schema, write_page_checksum=True))
            writer.write_table(table, row_group_size=max(1, len(table)))
            rows += len(table)
        if writer is None:
            raise DataError(f"{path}: there is nothing to write")
    return rows


def in_groups(parts: Iterable[Arrays]) -> Iterator[Arrays]:
    """The same rows, of small parts several at a time."""
    waiting: list[Arrays] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += sum(values.size for values in part.values())
        if size >= GROUP:
            yield stack(waiting)
            waiting, size = [], 0
    if waiting:
        yield stack(waiting)


def stack(parts: list[Any]) -> Any:
    """The parts one after another; of dictionaries, key by key."""
    if isinstance(parts[0], dict):
        return {key: stack([part[key] for part in parts]) for key in parts[0]}
    return np.concatenate(parts)


def table_of(arrays: Arrays) -> pa.Table:
    """A column a name; the shapes of what has several numbers a row stand in the metadata."""
    shapes = {name: values.shape[1:] for name, values in arrays.items()}
    table = pa.table({name: parquet_column(values) for name, values in arrays.items()})
    return table.replace_schema_metadata({SHAPES: json.dumps(shapes).encode()})


def parquet_column(values: np.ndarray) -> Any:
    if values.ndim == 1:
        return pa.array(values)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote; of a file that is something else, whatever error that makes."""
    table = pq.read_table(path, page_checksum_verification=True)
    shapes = json.loads((table.schema.metadata or {})[SHAPES])
    return {name: array_of(table[name], shape) for name, shape in shapes.items()}


def array_of(column: Any, shape: list[int]) -> np.ndarray:
    if not shape:
        return np.asarray(column.to_numpy())
    flat = column.combine_chunks().flatten().to_numpy()
    return np.asarray(flat).reshape(len(column), *shape)


def check_memory(path: Path, files: Sequence[Path]) -> None:
    """Refuse to read more than memory holds, the machine's or a container's.

    Raises:
        DataError: there is more.
    """
    needed = sum(bytes_of(pq.read_metadata(file)) for file in files)
    most = total_memory()
    if most is not None and needed > most:
        raise DataError(
            f"{path} holds {needed / 2**30:,.0f} GiB of logged interactions, more than the memory that is to be had, "
            f"{most / 2**30:,.0f} GiB; read some of its files, or log fewer"
        )


def bytes_of(metadata: pq.FileMetaData) -> int:
    """What a file's numbers take in memory."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [group.column(k) for group in groups for k in range(group.num_columns)]
    return sum(column.num_values * WIDTHS.get(column.physical_type, 8) for column in columns)
